"""Real servers as people run them: what would go wrong is found before anything is changed, and said in words."""

from __future__ import annotations

import psycopg
import pytest

from integrations.server import ADMIN
from strongroom import drivers
from strongroom.errors import ConflictError, RotationError, SourceRefusedError

from .servers import ADMIN as OTHER_ADMIN
from .servers import Redis, redis_7


def read(name):
    return {"value": ADMIN if name == "pg/admin" else OTHER_ADMIN if name == "admin" else "wrong"}


@pytest.fixture(params=["postgresql", "postgresql_15"])
def server(request):
    server = request.getfixturevalue(request.param)
    server.execute("ALTER ROLE app_a LOGIN PASSWORD 'first'; ALTER ROLE app_b LOGIN PASSWORD NULL")
    return server


def rotator(server, more="", user="postgres", secret="pg/admin", role="app_a"):
    place = f"{user}@127.0.0.1:{server.port}/postgres?role={role}&admin_secret={secret}"
    return drivers.rotator(f"postgresql://{place}{more}", read)


def accepts(server, user, password):
    try:
        psycopg.connect(f"host=127.0.0.1 port={server.port} dbname=postgres", user=user, password=password).close()
    except psycopg.OperationalError:
        return False
    return True


def verifiers(server):
    place = f"host=127.0.0.1 port={server.port} dbname=postgres user=postgres"
    with psycopg.connect(place, password=ADMIN) as connection:
        return connection.execute("SELECT rolname, rolpassword FROM pg_authid ORDER BY rolname").fetchall()


@pytest.mark.parametrize(
    ("current", "options", "said"),
    [
        ({"value": "drifted"}, {}, "28P01: it refuses the password"),
        ({"value": "first"}, {"secret": "wrong"}, "as role 'postgres': 28P01"),
        ({"value": "first"}, {"role": "nobody"}, "28P01"),
        ({"value": "first", "x": "y"}, {"user": "app_b"}, "as role 'app_b'"),
        ({"username": "app_a", "password": "first"}, {"more": "&other=nobody"}, "42704: there is no role \"nobody\""),
        ({"value": "postgresql://app_a:drifted@db/app"}, {}, "28P01"),
        ({"value": "host=db password=first"}, {}, "more than a password in it"),
    ],
)  # fmt: skip
def test_what_would_fail_is_found_and_nothing_is_changed(server, current, options, said):
    before = verifiers(server)
    with pytest.raises(RotationError, match=said) as caught:
        rotator(server, **options).check(current)
    assert "127.0.0.1" in str(caught.value) or "more than" in said
    assert verifiers(server) == before
    assert accepts(server, "app_a", "first")


@pytest.mark.parametrize(
    "current",
    [{"value": "first"}, {"username": "app_a", "password": "first", "host": "db"},
     {"value": "postgresql://app_a:first@db.example:5432/app?sslmode=require"}],
)  # fmt: skip
def test_a_look_changes_nothing_and_the_shape_stays(server, current):
    before = verifiers(server)
    one = rotator(server)
    one.check(current)
    assert verifiers(server) == before
    pending = one.create(current)
    assert set(pending) == set(current)
    one.set(pending, current)
    one.test(pending)
    if str(current.get("value")).startswith("postgresql:"):
        head, _, rest = pending["value"].partition("@")
        assert head.startswith("postgresql://app_a:")
        assert rest == "db.example:5432/app?sslmode=require"
        assert accepts(server, "app_a", head.rpartition(":")[2])


def test_an_administrator_without_the_right_is_told_which(server):
    server.execute("DROP ROLE IF EXISTS little; CREATE ROLE little LOGIN PASSWORD 'wrong'")
    one = rotator(server, user="little", secret="little")
    with pytest.raises(SourceRefusedError, match=r'42501: .*ALTER ROLE "little" CREATEROLE') as caught:
        one.check({"value": "first"})
    # From PostgreSQL 16 on CREATEROLE alone changes nobody's password.
    new = 'GRANT "app_a" TO "little" WITH ADMIN OPTION' in str(caught.value)
    server.execute("ALTER ROLE little CREATEROLE" + ("; GRANT app_a TO little WITH ADMIN OPTION" if new else ""))
    one.check({"value": "first"})
    server.execute("ALTER ROLE app_a SUPERUSER")
    try:
        with pytest.raises(SourceRefusedError, match="is a superuser, whose password takes a superuser"):
            one.check({"value": "first"})
    finally:
        server.execute("ALTER ROLE app_a NOSUPERUSER")
        server.execute("DROP ROLE little")


def test_a_second_role_that_lacks_a_membership_or_a_right_is_found_before_promotion(server):
    server.execute("DROP ROLE IF EXISTS readers; CREATE ROLE readers; GRANT readers TO app_a; "
                   "DROP TABLE IF EXISTS shop; CREATE TABLE shop (); GRANT SELECT ON shop TO app_a")  # fmt: skip
    current = {"username": "app_a", "password": "first"}
    try:
        with pytest.raises(
            SourceRefusedError, match=r"'app_b' lacks SELECT on table public.shop, membership in readers"
        ):
            rotator(server, "&other=app_b").check(current)
        server.execute("GRANT readers TO app_b")
        with pytest.raises(SourceRefusedError, match=r"'app_b' lacks SELECT on table public.shop\. "):
            rotator(server, "&other=app_b").check(current)
        one = rotator(server, "&other=app_b&rights=any&test=SELECT 1 FROM shop")
        one.check(current)
        pending = one.create(current)
        one.set(pending, current)
        with pytest.raises(SourceRefusedError, match="42501"):
            one.test(pending)
    finally:
        server.execute("REVOKE readers FROM app_a; DROP ROLE readers; DROP TABLE shop")


@pytest.mark.parametrize("previous", [{"username": "gone", "password": "x"}, {}])
def test_a_role_that_is_gone_is_retired(server, previous):
    server.execute("DROP ROLE IF EXISTS gone; ALTER ROLE app_b PASSWORD 'x'")
    other = "gone" if previous else "app_b"
    rotator(server, f"&other={other}").retire(previous, {"username": "app_a", "password": "first"})
    assert accepts(server, "app_a", "first")
    assert previous or not accepts(server, "app_b", "x")


@pytest.mark.parametrize("role", ["app_a&other=app_b", "app_a"])
def test_a_standby_is_refused_with_that_word(standby, postgresql, role):
    postgresql.execute("ALTER ROLE app_a PASSWORD 'first'")
    current = {"username": "app_a", "password": "first"}
    for _ in range(100):
        if accepts(standby, "app_a", "first"):
            break
    with pytest.raises(SourceRefusedError, match="25006: it is a standby, or read-only"):
        rotator(standby, role=role).check(current)


def test_clients_of_a_pgbouncer_that_asks_the_server_follow(postgresql, pgbouncer):
    postgresql.execute("ALTER ROLE app_a PASSWORD 'first'; ALTER ROLE app_b PASSWORD NULL")
    bouncer = pgbouncer("auth_query")
    one, current = rotator(postgresql, "&other=app_b"), {"username": "app_a", "password": "first"}
    pending = one.create(current)
    one.set(pending, current)
    assert accepts(bouncer, "app_a", "first")
    assert accepts(bouncer, "app_b", pending["password"])


def test_a_port_that_nobody_listens_at_is_named(postgresql):
    one = drivers.rotator("postgresql://127.0.0.1:1/postgres?role=app_a", read)
    with pytest.raises(SourceRefusedError, match=r"at 127.0.0.1:1, .* no connection: nothing listens there"):
        one.set({"value": "new"}, {"value": "first"})


@pytest.mark.parametrize("save", ["aclfile", "no"])
def test_a_replica_of_redis_is_refused_with_that_word(tmp_path, save):
    pytest.importorskip("redis")
    directories = [tmp_path / "primary", tmp_path / "replica"]
    for directory in directories:
        directory.mkdir()
    primary = Redis(directories[0], True, program=redis_7())
    replica = Redis(directories[1], True, replica_of=primary.port, program=redis_7())
    try:
        place = f"default@127.0.0.1:{replica.port}?admin_secret=admin&user=app&save={save}"
        with pytest.raises(SourceRefusedError, match="is a replica: name the primary"):
            drivers.rotator(f"redis://{place}", read).check({"value": "first"})
    finally:
        replica.stop()
        primary.stop()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("postgresql://h/db?role=a", "postgresql://admin@H:5432/x?role=a&admin_secret=s"),
        ("postgresql://localhost?role=a", "postgresql://admin@127.0.0.1?role=b&other=a&admin_secret=s"),
        ("redis://h?user=a", "redis://admin@h:6379?user=a&admin_secret=s"),
        ("mysql://x@h?user=a&admin_secret=s", "mysql://x@h?user=b&other=a&admin_secret=s"),
    ],
)
def test_two_secrets_on_one_account_are_refused(make_manager, one, other):
    manager = make_manager()
    manager.set_secrets({"A": "x", "B": "x"})
    manager.rotation.attach("A", one, force=True)
    with pytest.raises(ConflictError, match="'B' cannot be rotated by this: 'A' rotates 'a' at"):
        manager.rotation.attach("B", other)
