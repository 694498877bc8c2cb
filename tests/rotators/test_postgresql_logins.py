"""How a role logs in at real servers: what a password does not decide, and what would change for clients, is found."""

from __future__ import annotations

import pytest

from strongroom import drivers
from strongroom.errors import RotationError, SourceRefusedError

from .postgres_servers import accepts, first_line_of_hba, login, rotator, set_hba

CURRENT = {"username": "app_a", "password": "first"}


@pytest.fixture(params=["postgresql", "postgresql_15"])
def server(request):
    server = request.getfixturevalue(request.param)
    server.execute("ALTER ROLE app_a LOGIN CONNECTION LIMIT -1 VALID UNTIL 'infinity' PASSWORD 'first'; "
                   "ALTER ROLE app_b LOGIN CONNECTION LIMIT -1 VALID UNTIL 'infinity' PASSWORD NULL")  # fmt: skip
    yield server
    server.execute("ALTER ROLE app_a LOGIN CONNECTION LIMIT -1 VALID UNTIL 'infinity'; "
                   "ALTER ROLE app_b LOGIN CONNECTION LIMIT -1 VALID UNTIL 'infinity'")  # fmt: skip


@pytest.fixture
def hba(server):
    """Put a line before those of pg_hba.conf."""
    before = []
    yield lambda line: before.append(first_line_of_hba(server, line))
    if before:
        set_hba(server, before[0])


def verifier(server, role):
    with login(server, "postgres", "admin-password") as connection:
        return connection.execute("SELECT rolpassword FROM pg_authid WHERE rolname = %s", (role,)).fetchone()[0]


def give_md5(server, role="app_a"):
    server.execute(f"SET password_encryption = 'md5'; ALTER ROLE {role} PASSWORD 'first'")


def test_an_md5_password_becomes_scram_only_when_that_is_asked_for(server, hba):
    hba("host all app_a all md5")
    give_md5(server)
    with pytest.raises(SourceRefusedError, match=r"the role has an MD5 password, .* md5=upgrade says"):
        rotator(server).check(CURRENT)
    assert verifier(server, "app_a").startswith("md5")
    one = rotator(server, "&md5=upgrade")
    one.check(CURRENT)
    pending = one.create(CURRENT)
    one.set(pending, CURRENT)
    one.test(pending)
    assert verifier(server, "app_a").startswith("SCRAM-SHA-256$")


@pytest.mark.parametrize("ways", ["any", "md5,scram-sha-256"])
def test_an_md5_password_is_found_whatever_ways_to_log_in_are_allowed(server, hba, ways):
    hba("host all app_a all md5")
    give_md5(server)
    with pytest.raises(SourceRefusedError, match="md5=upgrade"):
        rotator(server, f"&require_auth={ways}").check(CURRENT)


def test_an_md5_password_of_the_role_whose_turn_it_is_is_found(server):
    give_md5(server, "app_b")
    with pytest.raises(SourceRefusedError, match=r"'app_b': the role has an MD5 password"):
        rotator(server, "&other=app_b").check(CURRENT)


def test_an_md5_password_that_its_line_refuses_is_named(server):
    give_md5(server)
    with pytest.raises(SourceRefusedError, match=r"28P01: .*the role has an MD5 password"):
        rotator(server).check(CURRENT)


def test_a_server_that_keeps_md5_gets_scram_all_the_same(server):
    server.execute("ALTER SYSTEM SET password_encryption = 'md5'")
    server.execute("SELECT pg_reload_conf()")
    try:
        one = rotator(server)
        one.check(CURRENT)
        pending = one.create(CURRENT)
        one.set(pending, CURRENT)
        one.test(pending)
        assert verifier(server, "app_a").startswith("SCRAM-SHA-256$")
    finally:
        server.execute("ALTER SYSTEM RESET password_encryption")
        server.execute("SELECT pg_reload_conf()")


@pytest.mark.parametrize("ways", ["scram-sha-256", "any"])
def test_a_line_that_asks_for_no_password_is_found(server, hba, ways):
    hba("host all app_a all trust")
    said = "trust, peer or cert, which asks for no password" if ways != "any" else "lets 'app_a' in with any password"
    with pytest.raises(SourceRefusedError, match=said):
        rotator(server, f"&require_auth={ways}").check(CURRENT)


def test_a_line_that_asks_no_password_of_other_clients_is_told(server, hba):
    hba("host all app_a 192.0.2.0/24 trust")
    said = rotator(server).check(CURRENT)
    assert [text for text in said if "line 1, lets 'app_a' in without a password from 192.0.2.0" in text]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("host all app_a all password", "is told the password itself: make it scram-sha-256"),
        ("host all app_a all reject", "28000: its line of pg_hba.conf for the role and this host is reject"),
        ("host all app_a all ident", "28000: .* peer, ident, cert or gss, which asks for no password"),
    ],
)
def test_what_pg_hba_says_is_told(server, hba, line, said):
    hba(line)
    with pytest.raises(SourceRefusedError, match=rf"at 127.0.0.1:{server.port}, as role 'app_a': .*{said}"):
        rotator(server).check(CURRENT)


def test_a_host_without_a_line_in_pg_hba_is_told(server):
    before = first_line_of_hba(server, "host all postgres all scram-sha-256")
    set_hba(server, "host all postgres all scram-sha-256\n")
    try:
        with pytest.raises(SourceRefusedError, match=r"28000: pg_hba.conf has no entry .* without TLS"):
            rotator(server).check(CURRENT)
    finally:
        set_hba(server, before)


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("VALID UNTIL '2020-01-01'", "was valid until 2020-01-01.*VALID UNTIL 'infinity'"),
        ("NOLOGIN", 'may not log in: ALTER ROLE "app_{}" LOGIN'),
        ("CONNECTION LIMIT 0", 'CONNECTION LIMIT'),
    ],
)  # fmt: skip
@pytest.mark.parametrize("role", ["a", "b"])
def test_a_role_that_no_password_lets_in_is_found(server, how, said, role):
    server.execute(f"ALTER ROLE app_{role} {how}")
    with pytest.raises(SourceRefusedError, match=said.format(role)):
        rotator(server, "&other=app_b").check(CURRENT)


def test_a_role_that_will_not_be_let_in_for_long_is_told(server):
    server.execute("ALTER ROLE app_a VALID UNTIL '2999-01-01'")
    assert [text for text in rotator(server).check(CURRENT) if "until 2999-01-01" in text]


def test_settings_of_a_role_do_not_keep_it_from_changing_itself(server):
    server.execute("ALTER ROLE app_a SET default_transaction_read_only = on; "
                   "ALTER ROLE app_a SET statement_timeout = 1; "
                   "GRANT app_b TO app_a; ALTER ROLE app_a SET role = app_b")  # fmt: skip
    try:
        one = drivers.rotator(f"postgresql://127.0.0.1:{server.port}/postgres?role=app_a", dict)
        one.check(CURRENT)
        pending = one.create(CURRENT)
        one.set(pending, CURRENT)
        one.test(pending)
        assert accepts(server, "app_a", pending["password"])
    finally:
        server.execute("ALTER ROLE app_a RESET ALL; REVOKE app_b FROM app_a")


def test_a_value_that_the_server_accepts_keeps_its_salt(server):
    before = verifier(server, "app_a")
    one = rotator(server)
    one.set(CURRENT, {"username": "app_a", "password": "another"})
    assert verifier(server, "app_a") == before


def test_a_role_that_the_server_asks_no_password_of_is_given_one_all_the_same(server, hba):
    hba("host all app_a all trust")
    one = rotator(server, "&require_auth=any")
    with pytest.raises(RotationError):
        one.check(CURRENT)
    before = verifier(server, "app_a")
    one.set({"username": "app_a", "password": "new"}, CURRENT)
    assert verifier(server, "app_a") != before
