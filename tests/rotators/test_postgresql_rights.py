"""Two PostgreSQL roles that take turns must have the same rights; how a second one is made."""

from __future__ import annotations

import pytest

from integrations.server import ADMIN
from strongroom import drivers
from strongroom.errors import ConfigError, RotationError, SourceRefusedError
from strongroom.rotators.postgresql_second import split

from .postgres_servers import accepts, login, rotator

CURRENT = {"username": "app_a", "password": "first"}
CLEAN = "DROP OWNED BY app_a, app_b, team CASCADE"


@pytest.fixture(params=["postgresql", "postgresql_15"])
def server(request):
    server = request.getfixturevalue(request.param)
    server.execute("ALTER ROLE app_a LOGIN PASSWORD 'first'; ALTER ROLE app_b LOGIN PASSWORD NULL; CREATE ROLE team; "
                   "DROP SCHEMA IF EXISTS shop CASCADE; CREATE SCHEMA shop; "
                   "CREATE TABLE shop.orders (id int, price int); "
                   "CREATE FUNCTION shop.total() RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE SEQUENCE shop.numbers; "
                   "REVOKE ALL ON FUNCTION shop.total() FROM PUBLIC")  # fmt: skip
    yield server
    server.execute(f"DROP ROLE IF EXISTS app_c; {CLEAN}; DROP ROLE team; DROP SCHEMA shop CASCADE; "
                   "ALTER ROLE app_a RESET ALL; ALTER ROLE app_b RESET ALL; "
                   "ALTER ROLE app_a IN DATABASE postgres RESET ALL; "
                   "ALTER ROLE app_b IN DATABASE postgres RESET ALL; REVOKE app_a FROM app_b; "
                   "ALTER ROLE app_a NOCREATEDB NOBYPASSRLS CONNECTION LIMIT -1 INHERIT; "
                   "ALTER ROLE app_b NOCREATEDB NOBYPASSRLS CONNECTION LIMIT -1 INHERIT")  # fmt: skip


def pair(server, more=""):
    return rotator(server, f"&other=app_b{more}")


DIFFERENCES = [
    ("GRANT SELECT ON shop.orders TO {}", "SELECT on table shop.orders"),
    ("GRANT UPDATE (price) ON shop.orders TO {}", "UPDATE on table column shop.orders.price"),
    ("GRANT INSERT ON shop.orders TO {} WITH GRANT OPTION", "INSERT WITH GRANT OPTION on table shop.orders"),
    ("GRANT USAGE ON SCHEMA shop TO {}", "USAGE on schema shop"),
    ("GRANT USAGE ON SEQUENCE shop.numbers TO {}", "USAGE on sequence shop.numbers"),
    ("GRANT EXECUTE ON FUNCTION shop.total() TO {}", r"EXECUTE on function shop.total\(\)"),
    ("GRANT CREATE ON DATABASE postgres TO {}", "CREATE on database postgres"),
    ("ALTER TABLE shop.orders OWNER TO {}", "OWNER on table shop.orders"),
    (
        "ALTER DEFAULT PRIVILEGES IN SCHEMA shop GRANT SELECT ON TABLES TO {}",
        "SELECT on default privileges for role postgres in schema shop on tables",
    ),
    ("GRANT SET ON PARAMETER log_statement TO {}", "SET on parameter log_statement"),
    ("CREATE POLICY mine ON shop.orders TO {} USING (true)", "row security on policy mine on shop.orders"),
    ("GRANT team TO {}", "membership in team"),
    ("ALTER ROLE {} CREATEDB", "CREATEDB"),
    ("ALTER ROLE {} BYPASSRLS", "BYPASSRLS"),
    ("ALTER ROLE {} SET search_path = shop", "the setting search_path of 'app_.'"),
    ("ALTER ROLE {} IN DATABASE postgres SET work_mem = '9MB'", "the setting work_mem of 'app_.' in database postgres"),
]


@pytest.mark.parametrize(("statement", "said"), DIFFERENCES)
def test_what_one_of_two_roles_lacks_is_found_and_may_be_let_pass(server, statement, said):
    has = "app_a" if DIFFERENCES.index((statement, said)) % 2 else "app_b"
    lacks = "app_b" if has == "app_a" else "app_a"
    server.execute(statement.format(has))
    with pytest.raises(SourceRefusedError, match=rf"'{lacks}' lacks {said}.*rights=any"):
        pair(server).check(CURRENT)
    pair(server, "&rights=any").check(CURRENT)


def test_the_same_rights_by_other_ways_are_the_same(server):
    pair(server).check(CURRENT)
    server.execute("GRANT team TO app_a, app_b; GRANT SELECT ON shop.orders TO team; "
                   "GRANT SELECT ON shop.orders TO app_a; "
                   "GRANT USAGE ON SCHEMA shop TO PUBLIC; GRANT USAGE ON SCHEMA shop TO app_a; "
                   "ALTER ROLE app_a SET search_path = shop; ALTER ROLE app_b SET search_path = shop; "
                   "ALTER TABLE shop.orders OWNER TO team; GRANT UPDATE ON shop.orders TO app_b")  # fmt: skip
    pair(server).check(CURRENT)


def test_a_limit_of_connections_is_compared(server):
    server.execute("ALTER ROLE app_b CONNECTION LIMIT 3")
    with pytest.raises(SourceRefusedError, match="'app_b' lacks connections beyond CONNECTION LIMIT 3"):
        pair(server).check(CURRENT)
    server.execute("ALTER ROLE app_a CONNECTION LIMIT 2")
    with pytest.raises(SourceRefusedError, match="'app_a' lacks connections beyond CONNECTION LIMIT 2"):
        pair(server).check(CURRENT)


def test_a_right_in_another_database_is_found(server):
    server.execute("CREATE DATABASE elsewhere")
    try:
        with login(server, "postgres", ADMIN, dbname="elsewhere") as there:
            there.execute("CREATE TABLE far (); GRANT SELECT ON far TO app_a")
        with pytest.raises(SourceRefusedError, match=r"'app_b' lacks SELECT on table public.far"):
            pair(server).check(CURRENT)
    finally:
        server.execute("DROP DATABASE elsewhere WITH (FORCE)")


def test_only_a_dozen_differences_are_listed(server):
    server.execute("DO $$ BEGIN FOR i IN 1..30 LOOP EXECUTE format('CREATE TABLE shop.t%s ()', i); EXECUTE "
                   "format('GRANT SELECT ON shop.t%s TO app_a', i); END LOOP; END $$")  # fmt: skip
    with pytest.raises(SourceRefusedError, match="and 18 more"):
        pair(server).check(CURRENT)


def make(server, other="app_c"):
    one = rotator(server)
    statements, url = one.second_account(CURRENT, other)
    one.make_second_account(CURRENT, other)
    return statements, drivers.rotator(url, lambda name: {"value": ADMIN})


def test_a_second_role_has_the_rights_of_the_first_now_and_later(server):
    server.execute("GRANT USAGE, CREATE ON SCHEMA shop TO app_a; GRANT SELECT ON shop.orders TO app_a; "
                   "GRANT team TO app_a; "
                   "ALTER ROLE app_a CREATEDB CONNECTION LIMIT 7; ALTER ROLE app_a SET search_path = \"$user\", shop; "
                   "ALTER ROLE app_a IN DATABASE postgres SET \"app.note\" = 'it''s; DROP ROLE team'; "
                   "ALTER TABLE shop.orders ENABLE ROW LEVEL SECURITY; "
                   "CREATE POLICY mine ON shop.orders TO app_a USING (current_user = 'app_a')")  # fmt: skip
    statements, two = make(server)
    assert statements[0] == 'CREATE ROLE "app_c" LOGIN CREATEDB CONNECTION LIMIT 7'
    assert "PASSWORD" not in "".join(statements)
    server.execute("INSERT INTO shop.orders VALUES (1, 1)")
    two.check(CURRENT)
    pending = two.create(CURRENT)
    assert pending["username"] == "app_c"
    two.set(pending, CURRENT)
    two.test(pending)
    with login(server, "app_c", pending["password"]) as session:
        assert session.execute("SELECT count(*) FROM orders").fetchone() == (1,)
        session.execute("CREATE TABLE shop.made_later ()")
        assert session.execute("SHOW app.note").fetchone() == ("it's; DROP ROLE team",)
        session.execute("DISCARD ALL")
        assert session.execute("SELECT current_user, session_user").fetchone() == ("app_a", "app_c")
    with login(server, "app_a", "first") as session:
        session.execute("DROP TABLE shop.made_later")
    server.execute("GRANT DELETE ON shop.orders TO app_a")
    two.check(pending)


def test_to_make_a_second_role_again_does_nothing_and_a_stranger_is_refused(server):
    make(server)
    make(server)
    server.execute("GRANT SELECT ON shop.orders TO app_a")
    with pytest.raises(SourceRefusedError, match=r"'app_b' lacks SELECT on table shop.orders"):
        make(server, "app_b")


def test_an_administrator_that_is_no_superuser_can_make_it(server):
    server.execute("CREATE ROLE clerk LOGIN CREATEROLE PASSWORD 'clerk'")
    try:
        one = rotator(server, user="clerk")
        with open(f"{server.directory}/data/PG_VERSION") as file:
            if int(file.read()) >= 16:
                with pytest.raises(SourceRefusedError, match=r'42501: .*GRANT "app_a" TO "clerk" WITH ADMIN OPTION'):
                    one.make_second_account(CURRENT, "app_c")
                server.execute("GRANT app_a TO clerk WITH ADMIN OPTION")
        one.make_second_account(CURRENT, "app_c")
        two = drivers.rotator(one.second_account(CURRENT, "app_c")[1], lambda name: {"value": name})
        two.check(CURRENT)
        pending = two.create(CURRENT)
        two.set(pending, CURRENT)
        assert accepts(server, "app_c", pending["password"])
        two.retire(pending, CURRENT)
        assert not accepts(server, "app_c", pending["password"])
    finally:
        server.execute("DROP ROLE IF EXISTS app_c; DROP OWNED BY clerk; DROP ROLE clerk")


def test_what_a_second_role_needs_is_said_without_an_administrator(server):
    one = drivers.rotator(f"postgresql://127.0.0.1:{server.port}/postgres?role=app_a", dict)
    statements, url = one.second_account(CURRENT, "app_c")
    assert statements[1] == 'GRANT "app_a" TO "app_c"'
    assert url == (f"postgresql://ADMIN@127.0.0.1:{server.port}/postgres?role=app_a&other=app_c"
                   "&admin_secret=NAME_OF_ITS_SECRET")  # fmt: skip
    with pytest.raises(ConfigError, match="takes an administrator"):
        one.make_second_account(CURRENT, "app_c")
    with pytest.raises(ConfigError, match="the name of the first"):
        one.second_account(CURRENT, "app_a")
    with pytest.raises(RotationError):
        drivers.rotator(f"postgresql://127.0.0.1:{server.port}/postgres?role=gone", dict).second_account(
            {"value": "x"}, "app_c"
        )


@pytest.mark.parametrize(
    ("text", "names"),
    [('"$user", public', ["$user", "public"]), ('"a""b", "c, d"', ['a"b', "c, d"]), ("", []), ('""', [""])],
)
def test_a_list_of_names_is_taken_apart_as_the_server_keeps_it(text, names):
    assert split(text) == names
