import sys

import pytest

from strongroom import drivers
from strongroom.errors import ConfigError, MissingExtraError, StoreNotFoundError


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("sqlite:shared/secrets.db", ("sqlite", "shared/secrets.db")),
        ("file:secrets.enc", ("file", "secrets.enc")),
        ("memory:", ("memory", "")),
        ("shared/secrets.db", ("sqlite", "shared/secrets.db")),
        ("/var/lib/secrets.enc", ("file", "/var/lib/secrets.enc")),
        ("/odd:place/secrets.db", ("sqlite", "/odd:place/secrets.db")),
        ("sqlite:a:b", ("sqlite", "a:b")),
    ],
)
def test_a_store_is_named_by_scheme_or_by_its_ending(url, expected):
    assert drivers.split(url, drivers.STORES, "store", drivers._ENDINGS) == expected


@pytest.mark.parametrize(
    ("connect", "url", "told"),
    [
        (drivers.store, "oracle://scott:tiger@host/db", "there is no store oracle:; there are: sqlite:"),
        (drivers.store, "oracle://scott:tiger@host/x.db", "there is no store oracle:; there are: sqlite:"),
        (
            drivers.store,
            "tiger.txt",
            "such as sqlite:secrets.db, or give a path that ends in .db or .enc; there are: sqlite:",
        ),
        (drivers.store, "", "such as sqlite:secrets.db, or give a path that ends in .db or .enc; there are: sqlite:"),
        (drivers.key_provider, "vault://user:tiger@host", "there is no key provider vault:; there are: env:"),
        (
            drivers.key_provider,
            "tiger" * 8 + "=",
            "write the key provider as scheme:rest, such as file:master.key; there are: env:",
        ),
        (drivers.audit_sink, "https://user:tiger@host", "there is no audit sink https:; there are: file:"),
        (drivers.audit_sink, "tiger.txt", "_audit.log, or give a path that ends in .log; there are: file:"),
    ],
)
def test_an_unknown_scheme_is_refused_and_credentials_are_not_shown(connect, url, told):
    with pytest.raises(ConfigError, match=told) as caught:
        connect(url)
    assert "tiger" not in str(caught.value)


@pytest.mark.parametrize("table", [drivers.STORES, drivers.KEY_PROVIDERS, drivers.AUDIT_SINKS, drivers.ROTATORS])
def test_every_named_driver_can_be_imported(table):
    from importlib import import_module

    for module in table.values():
        assert callable(import_module(module).connect)


def test_a_missing_store_is_not_made(tmp_path):
    for scheme in ("sqlite", "file"):
        with pytest.raises(StoreNotFoundError):
            drivers.store(f"{scheme}:{tmp_path}/none")
    assert not list(tmp_path.iterdir())


def test_a_log_is_a_file_by_its_ending(tmp_path):
    assert drivers.audit_sink(f"{tmp_path}/audit.log").url == f"file:{tmp_path}/audit.log"


def test_options_reach_the_sink(tmp_path):
    with pytest.raises(ConfigError, match="sync"):
        drivers.audit_sink(f"file:{tmp_path}/audit.log", sync="sometimes")


@pytest.mark.parametrize(
    ("scheme", "library", "extra"),
    [("postgresql", "psycopg", "psycopg"), ("mysql", "pymysql", "mysql"), ("redis", "redis.backoff", "redis")],
)
def test_a_rotator_without_its_library_names_the_pip_line(scheme, library, extra, monkeypatch):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingExtraError, match=rf"pip install 'strongroom\[{extra}\]'"):
        drivers.rotator(f"{scheme}://admin@host?user=a&role=a&admin_secret=b", None)
