"""The rotator against a real MariaDB server, and for MySQL against a model of what its manual says."""

from __future__ import annotations

import re

import pytest

from strongroom import drivers
from strongroom.errors import ConfigError, RotationError
from strongroom.testing.rotators import RotatorSuite

from .mysql_manual import Account
from .servers import ADMIN

TWO = {"username": "app_a", "password": "first"}


def read(name):
    assert name == "mysql/admin"
    return {"value": ADMIN}


def connect(mariadb, more=""):
    place = f"root@127.0.0.1:{mariadb.port}?admin_secret=mysql/admin"
    return drivers.rotator(f"mysql://{place}&user=app_a{more}", read)


def accepts(mariadb, data):
    return mariadb.accepts(data.get("username", "app_a"), data.get("password") or data["value"])


class TestMysql(RotatorSuite):
    @pytest.fixture(params=["", "&other=app_b"], ids=["single", "alternating"])
    def more(self, request):
        return request.param

    @pytest.fixture
    def rotator(self, mariadb, more):
        self.server = mariadb
        return connect(mariadb, more)

    @pytest.fixture
    def current(self, mariadb, more):
        mariadb.reset()
        return TWO if more else {"value": "first"}

    def accepts(self, data):
        return accepts(self.server, data)


@pytest.mark.parametrize(("more", "current"), [("", {"value": "first"}), ("&other=app_b", TWO)])
def test_the_previous_password_works_until_it_is_retired(mariadb, more, current):
    mariadb.reset()
    rotator = connect(mariadb, more)
    pending = rotator.create(current)
    rotator.set(pending, current)
    assert accepts(mariadb, current)
    assert accepts(mariadb, pending)
    rotator.retire(current, pending)
    assert not accepts(mariadb, current)


def test_the_password_never_reaches_the_log_of_the_server_which_would_show_it(mariadb):
    mariadb.reset()
    assert "IDENTIFIED BY 'first'" in mariadb.log.read_text()
    rotator = connect(mariadb)
    pending = rotator.create({"value": "first"})
    for _ in range(2):
        rotator.set(pending, {"value": "first"})
    rotator.test(pending)
    rotator.retire({"value": "first"}, pending)
    log = mariadb.log.read_text()
    assert re.search(
        r"ALTER USER 'app_a'@'%' IDENTIFIED WITH mysql_native_password AS '\*[0-9A-F]{40}' OR mysql_native_password",
        log,
    )
    assert pending["value"] not in log


def test_a_server_with_another_certificate_gets_no_password(mariadb, tmp_path):
    mariadb.reset()
    connect(mariadb, f"&tls={mariadb.authority}").test({"value": "first"})
    with pytest.raises(RotationError, match="error 2003"):
        connect(mariadb, "&tls=system").test({"value": "first"})
    with pytest.raises(ConfigError, match="PEM"):
        connect(mariadb, f"&tls={tmp_path}/missing.pem")


@pytest.mark.parametrize(
    ("more", "phrase"),
    [
        ("&user_host=nowhere", "1133.*no such account"),
        ("&plugin=caching_sha2_password", "leave plugin= out"),
    ],
)
def test_what_is_wrong_is_said(mariadb, more, phrase):
    with pytest.raises(RotationError, match=phrase) as caught:
        connect(mariadb, more).set({"value": "hidden-new"}, {"value": "hidden-old"})
    assert "hidden" not in str(caught.value)


def test_an_administrator_who_may_not_change_accounts_is_named(mariadb):
    mariadb.reset()
    place = f"app_a@127.0.0.1:{mariadb.port}"
    rotator = drivers.rotator(f"mysql://{place}?user=app_b&admin_secret=x", lambda name: {"value": "first"})
    with pytest.raises(RotationError, match=r"1044, as user 'app_a': the administrator needs the rights CREATE USER"):
        rotator.set({"value": "hidden"}, {"value": "x"})


def test_a_server_that_is_not_there_is_named_without_a_password():
    rotator = drivers.rotator("mysql://root@127.0.0.1:1?user=app_a&admin_secret=mysql/admin", read)
    with pytest.raises(RotationError, match="error 2003, as user 'app_a'") as caught:
        rotator.test({"value": "hidden"})
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize(
    "rest",
    [
        "", "//host", "//admin@host?user=a", "//host?user=a&admin_secret=b", "//admin@host/db?user=a&admin_secret=b",
        "//admin:hidden@host?user=a&admin_secret=b", "//admin@host?user=a&admin_secret=b&password=hidden",
        "//admin@host:port?user=a&admin_secret=b", "//admin@host?user=a&admin_secret=b&plugin=hidden",
        "//admin@host?user=a&admin_secret=b&length=2",
    ],
)  # fmt: skip
def test_a_url_that_cannot_be_is_refused(rest):
    with pytest.raises(ConfigError) as caught:
        drivers.rotator(f"mysql:{rest}", read)
    assert "hidden" not in str(caught.value)


class TestMysqlByItsManual(RotatorSuite):
    @pytest.fixture(params=["caching_sha2_password", "mysql_native_password"])
    def rotator(self, request, monkeypatch):
        self.account = Account(request.param, "first")
        monkeypatch.setattr("pymysql.connect", self.account.connect)
        plugin = f"&plugin={request.param}" if request.param.startswith("mysql") else ""
        return drivers.rotator(f"mysql://admin@host?user=app&admin_secret=mysql/admin{plugin}", read)

    @pytest.fixture
    def current(self):
        return {"value": "first"}

    def accepts(self, data):
        return self.account.accepts(data["value"])

    def test_the_current_password_is_accepted_until_it_is_retired_however_often_it_is_set(self, rotator, current):
        pending = rotator.create(current)
        for _ in range(3):
            rotator.set(pending, current)
            assert self.accepts(current)
            assert self.accepts(pending)
        assert len(self.account.statements) == 1
        rotator.set(current, pending)
        assert self.accepts(current)
