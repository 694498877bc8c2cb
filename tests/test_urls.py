"""What is shown of a URL that somebody has typed."""

from __future__ import annotations

import json
import logging

import pytest

from strongroom.settings.config import Config
from strongroom.urls import Url, shown, shown_rotator, shows_credentials


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:secrets.db", "sqlite:/srv/app@2/secrets.db", "file:/a/b?c.enc", "env:SECRETS_MASTER_KEY", "memory:",
        "passphrase:", "passphrase:/etc/pass", "shared/secrets.db", "/odd:place/secrets.db", "", "x.log",
        "postgresql://db.example/app", "postgresql://db.example:5432/app", "https://[::1]:8200/v1",
        "my.package:connect", "https://db",
    ],
)  # fmt: skip
def test_what_holds_no_secret_is_shown_whole(url):
    assert shown(url) == str(Url(url)) == f"{Url(url)}" == url


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://app:tiger@db/app", "postgresql://db/app"),
        ("postgresql://app@db/app", "postgresql://db/app"),
        ("postgresql://:tiger@db:5432/app?sslmode=require", "postgresql://db:5432/app?sslmode=…"),
        ("postgresql://app:ti@ger@db/app", "postgresql://db/app"),
        ("postgresql://app:ti/ger@db/app", "postgresql://db/app"),
        ("postgresql://app:ti?ger@db/app", "postgresql://db/app"),
        ("postgresql://app:ti#ger@db/app", "postgresql://db/app"),
        ("postgresql://app:tiger", "postgresql://app:…"),
        ("postgresql://db/app?password=tiger&user=x", "postgresql://db/app?password=…&user=…"),
        ("postgresql://db/app?tiger", "postgresql://db/app?…"),
        ("https://kms/v1?a=1;token=tiger#tiger", "https://kms/v1?a=…#…"),
        ("https://kms/v1#tiger", "https://kms/v1#…"),
        ("postgresql:host=db password=tiger", "postgresql:…"),
        ("vault:tiger", "vault:…"),
        ("redis:tiger", "redis:…"),
        ("base64:dGlnZXI=", "base64:…"),
        ("app:tiger@db/app", "app:…"),
        ("ti ger:x", "…"),
        ("a@tiger:x", "…"),
        ("my.package:connect:tiger", "my.package:connect:…"),
        ("package:connect:tiger", "package:connect:…"),
        ("my.package:connect:postgresql://app:tiger@db/app?x=tiger", "my.package:connect:postgresql://db/app?x=…"),
    ],
)
def test_what_could_be_a_secret_is_not_shown(url, expected):
    assert shown(url) == expected
    typed = Url(url)
    record = logging.LogRecord("a", 1, "b", 1, "%s %r", (typed, typed), None)
    seen = [str(typed), repr(typed), f"{typed}", f"{typed!r:>9}", str([typed]), str({"a": typed}),
            "{}".format(typed), record.getMessage(), f"{typed!a}", str(Url(typed))]  # fmt: skip  # noqa: UP032
    assert [text for text in seen if "tiger" in text or "ger@" in text] == []


@pytest.mark.parametrize("url", ["postgresql://app:tiger@db/app?x=tiger", "sqlite:x.db", "vault:tiger"])
def test_drivers_get_what_was_typed(url):
    config = Config(store=url)._replace(max_versions=3)
    assert config.store == url
    assert ":".join(config.store.partition(":")[::2]) == url
    assert json.loads(json.dumps({"store": config.store}))["store"] == url, "so a document has str() of it"


@pytest.mark.parametrize(
    ("url", "wrong"),
    [("postgresql://db/app", False), ("postgresql://u@db/app", True), ("kms:alias/app", False),
     ("https://kms/?token=x", True), ("sqlite:/a@b/c?d=e", False),
     ("sqlite:///x@y/z", False), ("file://u:p@db/x", True), ("minimal:/x", False)],
)  # fmt: skip
def test_the_url_of_a_driver_shows_no_credentials(url, wrong):
    assert shows_credentials(url) == wrong


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://admin@db/app?role=app&admin_secret=pg/admin", None), ("generate:length=32", None),
        ("command:/usr/bin/rotate?timeout=60", None), ("webhook:https://host/path#key=NAME", None),
        ("webhook:https://u:tiger@host/path?t=tiger#key=NAME", "webhook:https://host/path?t=…#key=NAME"),
        ("my.rotator:connect:tiger", "my.rotator:connect:…"),
    ],
)  # fmt: skip
def test_a_rotator_is_shown_with_its_options_where_they_are_ours(url, expected):
    assert shown_rotator(url) == (expected or url)
