"""The values of live secrets never reach a log, in whatever part of a record and in whatever form."""

from __future__ import annotations

import base64
import json
import logging
import urllib.parse
from io import StringIO

import pytest

from strongroom.integrations.logging import RedactingFilter, RedactingFormatter, Redactor, every, install
from strongroom.secret import STARS

VALUE = 'pä"ss/wo+rd & {x}\\'
FORMS = {
    "clear": VALUE,
    "json": json.dumps({"a": [VALUE]}),
    "json, not ASCII": json.dumps(VALUE, ensure_ascii=False),
    "twice in a repr": repr([VALUE]),
    "repr of bytes": repr(VALUE.encode()),
    "url": "https://host/?password=" + urllib.parse.quote(VALUE, safe=""),
    "url, lower case": urllib.parse.quote_plus(VALUE).lower(),
    "form": urllib.parse.urlencode({"password": VALUE}),
    "hex": VALUE.encode().hex(),
    "HEX": VALUE.encode().hex().upper(),
    "base64": base64.b64encode(VALUE.encode()).decode(),
    "basic, user of 1": base64.b64encode(f":{VALUE}".encode()).decode(),
    "basic, user of 2": base64.b64encode(f"a:{VALUE}".encode()).decode(),
    "basic, user of 3": base64.urlsafe_b64encode(f"ab:{VALUE}".encode()).decode(),
}


class Everything(logging.Formatter):
    """Shows a record as a handler of one's own may: all of its attributes."""

    def format(self, record):
        return super().format(record) + repr({name: repr(value) for name, value in vars(record).items()})


@pytest.fixture
def out():
    return StringIO()


@pytest.fixture
def logger(out):
    logger = logging.Logger("test")
    handler = logging.StreamHandler(out)
    handler.setFormatter(Everything())
    logger.addHandler(handler)
    return logger


@pytest.fixture
def redactor(secrets, logger):
    secrets.set_secret("A", VALUE)
    return install(secrets.secret("A"), logger=logger)


@pytest.mark.parametrize("form", FORMS)
def test_each_form_of_a_value_is_redacted(redactor, form):
    text = f"before {FORMS[form]} after"
    clean = redactor.redact(text)
    assert clean != text
    assert clean.startswith("before ")
    assert clean.endswith(" after")
    assert STARS in clean


def test_every_alphanumeric_value_leaves_nothing_of_its_base64(make_manager):
    for length in range(4, 24):
        manager = make_manager()
        value = "Zq7x9Kw2Lm4Rt8Yv1Nb5Hj3Pd"[:length]
        manager.set_secret("A", value)
        redactor = Redactor(manager.secret("A"))
        for user in ("", "a", "bc", "def"):
            encoded = base64.b64encode(f"{user}{value}".encode()).decode()
            assert STARS in redactor.redact(encoded)


@pytest.mark.parametrize(
    "say",
    [
        lambda logger: logger.error("password is " + VALUE),
        lambda logger: logger.error("password is %s", VALUE),
        lambda logger: logger.error("%(user)s", {"user": "me", "password": VALUE}),
        lambda logger: logger.error("%s", {"deep": [("a", {"b": VALUE})]}),
        lambda logger: logger.error("%r", [VALUE.encode()]),
        lambda logger: logger.error("extra", extra={"request": {"headers": [("x", VALUE)]}}),
        lambda logger: logger.error("extra", extra={"cause": ValueError(VALUE)}),
        lambda logger: logger.error("extra", extra={"a": {VALUE: 1}}),
        lambda logger: logger.error(ValueError(VALUE)),
        lambda logger: logger.error("too many %s", "a", VALUE),
    ],
)
def test_no_part_of_a_record_shows_a_value(redactor, logger, out, say, capsys):
    say(logger)
    text = out.getvalue() + capsys.readouterr().err
    assert text
    for form in (VALUE, repr(VALUE)[1:-1], repr(repr(VALUE))[1:-1], "wo+rd"):
        assert form not in text


def test_an_exception_and_its_chain_are_redacted(redactor, logger, out):
    try:
        try:
            raise ValueError(f"cannot connect with {VALUE}")
        except ValueError as error:
            raise RuntimeError("no connection") from error
    except RuntimeError:
        logger.exception("it failed")
    assert "RuntimeError: no connection" in out.getvalue()
    assert f"cannot connect with {STARS}" in out.getvalue()
    assert "wo+rd" not in out.getvalue()


def test_a_live_handle_in_a_record_is_redacted(secrets, redactor, logger, out):
    logger.error("%s %s", secrets.secret("A"), secrets.secret("A").value)
    assert "wo+rd" not in out.getvalue()


def test_a_record_without_a_value_stays_as_it_is(redactor):
    arguments, extra = ({"a": [1]}, "x"), {"deep": ["b"]}
    record = logging.makeLogRecord({"msg": "%s %s", "args": arguments, "extra": extra})
    before = dict(vars(record))
    assert RedactingFilter(redactor).filter(record) is True
    assert vars(record) == before
    assert record.args is arguments
    assert record.extra is extra


def test_a_rotated_value_is_covered_when_it_is_taken_up_and_the_one_before_stays_so(secrets, redactor):
    secrets.set_secret("A", "the second one")
    new = secrets.secret("A").value
    assert redactor.redact(f"{VALUE} {new}") == f"{STARS} {STARS}"


def test_a_rotated_value_is_covered_though_nobody_reads_it(secrets, redactor, wait_until):
    secrets.set_secret("A", "the second one")
    wait_until(lambda: redactor.redact("the second one") == STARS)


def test_a_deleted_secret_stays_covered(secrets, redactor):
    secrets.delete_secret("A")
    redactor.refresh()
    assert redactor.redact(VALUE) == STARS


def test_fields_and_bytes_are_covered_and_short_values_are_not(secrets):
    secrets.set_secret("F", {"user": "alice", "pin": "123", "deep": ["third field"]})
    secrets.set_secret("B", b"\x00\xff\x01\x02")
    redactor = Redactor(*every(secrets))
    assert redactor.redact("alice, 123, third field") == f"{STARS}, 123, {STARS}"
    assert redactor.redact(repr(b"\x00\xff\x01\x02")) == f"b'{STARS}'"
    assert redactor.redact("00ff0102") == STARS


def test_a_formatter_redacts_the_text_of_another(redactor):
    formatter = RedactingFormatter(redactor, logging.Formatter("%(levelname)s %(message)s"))
    record = logging.makeLogRecord({"msg": "it is %s", "args": (VALUE,), "levelname": "INFO"})
    assert formatter.format(record) == f"INFO it is {STARS}"


def test_a_redactor_does_not_show_values(redactor):
    assert repr(redactor) == "Redactor(1 secrets)"
