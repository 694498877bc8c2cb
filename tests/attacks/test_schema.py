"""What somebody who can write the database defines in it must not make changes succeed that do nothing."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing

import pytest

import strongroom
from strongroom.errors import StoreError, TamperedError
from strongroom.stores import sqlite_connection
from strongroom.stores.sqlite import SqliteStore

ENTRIES = "CREATE TABLE entries (path TEXT PRIMARY KEY NOT NULL, value BLOB NOT NULL{}){}"
EMPTY = "BEFORE {} ON {} BEGIN SELECT RAISE(IGNORE); END"


def rebuilt(definition):
    """Return what gives the table of entries another definition, its rows kept."""
    return f"""
    ALTER TABLE entries RENAME TO old;
    {definition};
    INSERT INTO entries (path, value) SELECT path, value FROM old;
    DROP TABLE old;
    """


ADDED = {
    "a trigger that ignores what is inserted": "CREATE TRIGGER t " + EMPTY.format("INSERT", "entries"),
    "a trigger that ignores what is deleted": "CREATE TRIGGER t " + EMPTY.format("DELETE", "entries"),
    "a trigger that ignores the revision": "CREATE TRIGGER t " + EMPTY.format("UPDATE", "store"),
    "a trigger that puts back": """CREATE TRIGGER t AFTER DELETE ON entries
        BEGIN INSERT INTO entries VALUES (old.path, old.value); END""",
    "a trigger that takes back": """CREATE TRIGGER t AFTER INSERT ON entries WHEN new.path LIKE 'secret/%'
        BEGIN DELETE FROM entries WHERE path = new.path; END""",
    "a trigger with the name of the table": "CREATE TRIGGER entries " + EMPTY.format("INSERT", "entries"),
    "a further table": "CREATE TABLE more (a)",
    "a table for the full text": "CREATE VIRTUAL TABLE more USING fts5(a)",
    "a view": "CREATE VIEW more AS SELECT * FROM entries",
    "an index": "CREATE INDEX more ON entries (value)",
    "a partial index": "CREATE UNIQUE INDEX more ON entries (value) WHERE length(value) < 9",
    "statistics": "ANALYZE",
    "a view instead of the table": """ALTER TABLE entries RENAME TO real;
        CREATE VIEW entries AS SELECT path, value FROM real;
        CREATE TRIGGER t INSTEAD OF INSERT ON entries BEGIN SELECT 1; END;
        CREATE TRIGGER u INSTEAD OF DELETE ON entries BEGIN SELECT 1; END""",
    "a column more": rebuilt(ENTRIES.format(", more TEXT", " WITHOUT ROWID")),
    "a generated column": rebuilt(ENTRIES.format(", more AS (length(value))", " WITHOUT ROWID")),
    "a table with row ids": rebuilt(ENTRIES.format("", "")),
    "a constraint": rebuilt(ENTRIES.format(", CHECK (length(value) > 0)", " WITHOUT ROWID")),
    "an answer to conflicts": rebuilt(
        ENTRIES.replace("NOT NULL,", "NOT NULL ON CONFLICT IGNORE,").format("", " WITHOUT ROWID")
    ),
    "another order": rebuilt(ENTRIES.replace("TEXT", "TEXT COLLATE NOCASE").format("", " WITHOUT ROWID")),
    "another type": rebuilt(ENTRIES.replace("BLOB", "TEXT").format("", " WITHOUT ROWID")),
}  # fmt: skip

HIDDEN = """PRAGMA writable_schema=ON; INSERT INTO sqlite_master VALUES ('trigger', 't', 'entries', 0,
    'CREATE TRIGGER t BEFORE INSERT ON entries BEGIN SELECT RAISE(IGNORE); END')"""
"""A trigger that does not move SQLite's count of changes to the schema."""


def define(path, statements):
    with closing(sqlite3.connect(path)) as connection:
        try:
            connection.executescript(statements)
        except sqlite3.OperationalError as error:
            if "no such module" in str(error):
                pytest.skip("this SQLite has no full text search")
            raise
        connection.commit()


@pytest.fixture(params=ADDED)
def added(request):
    return ADDED[request.param]


@pytest.fixture
def secrets(tmp_path, master_key):
    with strongroom.init(f"sqlite:{tmp_path}/secrets.db", audit=f"file:{tmp_path}/audit.log") as secrets:
        secrets.set_secret("A", "1")
        yield secrets


def test_such_a_store_is_not_opened(secrets, tmp_path, added):
    secrets.close()
    define(tmp_path / "secrets.db", added)
    with pytest.raises(TamperedError, match=r"was changed from outside: its? .*no store has|not defined as in a store"):
        strongroom.open(f"sqlite:{tmp_path}/secrets.db", audit=f"file:{tmp_path}/audit.log")


def test_a_running_process_makes_no_change_in_it(secrets, tmp_path, added):
    define(tmp_path / "secrets.db", added)
    for change in (
        lambda: secrets.set_secret("A", "2"),
        lambda: secrets.set_secret("B", "2"),
        lambda: secrets.delete_secret("A"),
        lambda: secrets.destroy_secret("A"),
        lambda: secrets.custody.rekey_data(),
    ):
        with pytest.raises(TamperedError, match="was changed from outside"):
            change()
    store = secrets._access.engine.store
    store._check_at = store._generation.look_at = 0.0  # a second later
    with pytest.raises(TamperedError, match="was changed from outside"):
        secrets.list_secrets()
    events = secrets.get_audit_logs(name="A")
    assert {event["reason"] for event in events if event["outcome"] == "failed"} == {"tampered"}


def test_what_is_defined_unseen_is_found_at_open_and_means_nothing_to_who_has_read_the_schema(tmp_path):
    path = str(tmp_path / "secrets.db")
    with closing(SqliteStore(path, create=True)) as store:
        store.revision()
        with store.transaction() as transaction:
            transaction.put("a", b"1")
        define(path, HIDDEN)
        with pytest.raises(TamperedError, match="'trigger' 't'"):
            SqliteStore(path)
        with store.transaction() as transaction:
            transaction.put("a", b"2")
        assert store.get("a") == b"2"


def test_what_was_defined_between_two_changes_is_found_by_the_second(tmp_path):
    with closing(SqliteStore(str(tmp_path / "secrets.db"), create=True)) as store:
        for number in range(3):
            with store.transaction() as transaction:
                transaction.put("a", b"%d" % number)
        define(tmp_path / "secrets.db", ADDED["a trigger that ignores what is deleted"])
        with pytest.raises(TamperedError), store.transaction():
            pytest.fail("the transaction began")
        define(tmp_path / "secrets.db", "DROP TRIGGER t")
        with store.transaction() as transaction:
            transaction.delete("a")
        assert store.scan() == []


@pytest.mark.parametrize(
    ("sql", "change"),
    [
        ("CREATE TEMP TRIGGER t " + EMPTY.format("INSERT", "main.entries"), lambda tx: tx.put("b", b"2")),
        ("CREATE TEMP TRIGGER t " + EMPTY.format("DELETE", "main.entries"), lambda tx: tx.delete("a")),
        ("CREATE TEMP TRIGGER t " + EMPTY.format("UPDATE", "main.store"), lambda tx: tx.put("b", b"2")),
    ],
    ids=["put", "delete", "the revision"],
)
def test_a_change_that_did_nothing_is_noticed_even_if_nothing_explains_it(tmp_path, sql, change):
    with closing(SqliteStore(str(tmp_path / "secrets.db"), create=True)) as store:
        with store.transaction() as transaction:
            transaction.put("a", b"1")

        def attempt():
            with store.transaction() as transaction:
                transaction._connection.execute(sql)
                change(transaction)

        with pytest.raises(TamperedError, match="did not take a change"):
            attempt()
        with store.view() as view:
            assert view.scan() == [("a", b"1")]
        assert store.revision() == 1


@pytest.mark.parametrize("encoding", ["UTF-16le", "UTF-16be"])
def test_a_database_of_another_encoding_would_sort_otherwise(tmp_path, encoding):
    path = str(tmp_path / "secrets.db")
    SqliteStore(path, create=True).close()
    with closing(sqlite3.connect(path)) as old, closing(sqlite3.connect(f"{path}.new")) as new:
        new.execute(f"PRAGMA encoding='{encoding}'")
        new.executescript(f"PRAGMA application_id={0x53545247}; PRAGMA user_version=1")
        for (sql,) in old.execute("SELECT sql FROM sqlite_master"):
            new.execute(sql)
        new.execute("INSERT INTO store VALUES (0)")
        new.commit()
    shutil.move(f"{path}.new", path)
    with pytest.raises(TamperedError, match="encoding UTF-16"):
        SqliteStore(path)


@pytest.mark.parametrize("pragma", ["page_size=512", "page_size=65536", "auto_vacuum=FULL", "auto_vacuum=INCREMENTAL"])
def test_a_copy_that_is_only_laid_out_in_another_way_is_a_store(tmp_path, pragma):
    path = str(tmp_path / "secrets.db")
    SqliteStore(path, create=True).close()
    define(path, f"PRAGMA journal_mode=DELETE; PRAGMA {pragma}; VACUUM")
    with closing(SqliteStore(path)) as store:
        with store.transaction() as transaction:
            transaction.put("a", b"1")
            transaction.delete("nothing")
        assert store.scrub()
        assert store.scan() == [("a", b"1")]


def test_a_value_without_bounds_does_not_fill_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(sqlite_connection, "_LARGEST_ROW", 1 << 20)
    path = str(tmp_path / "secrets.db")
    SqliteStore(path, create=True).close()
    define(path, "INSERT INTO entries VALUES ('a', zeroblob(2000000))")
    with closing(SqliteStore(path)) as store:
        for read in (lambda: store.get("a"), store.scan):
            with pytest.raises(StoreError, match="of this size"):
                read()


def test_a_path_without_bounds_is_tampering(tmp_path):
    path = str(tmp_path / "secrets.db")
    SqliteStore(path, create=True).close()
    define(path, "INSERT INTO entries VALUES (printf('%.*c', 100000, 'x'), x'00')")
    with closing(SqliteStore(path)) as store, pytest.raises(TamperedError, match="100,000 characters"):
        store.scan()
