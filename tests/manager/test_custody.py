import pytest

from strongroom.access.access import Access
from strongroom.crypto.argon2 import Argon2Cost
from strongroom.errors import (
    AuditError,
    InvalidInputError,
    InvalidKeyError,
    NoKeyError,
    NotFoundError,
    StrongroomError,
    TamperedError,
    WrongKeyError,
)  # fmt: skip
from strongroom.key_providers.env import EnvKeyProvider
from strongroom.key_providers.passphrase import PassphraseProvider
from strongroom.model import HEADER, KEYSET
from strongroom.records.records import key_id

KEYS = {"SECOND": "A" * 43 + "=", "THIRD": "B" * 42 + "A="}
SECOND, THIRD = EnvKeyProvider("SECOND"), EnvKeyProvider("THIRD")


@pytest.fixture(autouse=True)
def more_keys(monkeypatch):
    for name, key in KEYS.items():
        monkeypatch.setenv(name, key)


def raw(manager):
    store = manager._access.engine.store
    return dict(store.scan(limit=10_000))


def states(manager):
    return [(key.id, key.purpose, key.algorithm, key.state) for key in manager.custody.keys()]  # noqa: SIM118


def test_a_new_store_has_one_recipient_and_three_keys(manager):
    assert [(r.id, r.label) for r in manager.custody.recipients()] == [(1, "env:SECRETS_MASTER_KEY")]
    algorithm = manager._access.engine.unlocked.keyset.primary.algorithm
    assert states(manager) == [
        (1, "record", algorithm, "primary"),
        (2, "manifest", "aes-256-gcm", "primary"),
        (3, "audit", "aes-256-gcm", "primary"),
    ]
    assert list(manager.custody.audit_keys()) == [3]


def test_rekey_master_rewrites_one_small_entry_and_shuts_the_old_key_out(manager, reopen):
    manager.set_secret("A", "x")
    before = raw(manager)
    new = manager.custody.rekey_master(SECOND)
    after = raw(manager)
    changed = {path for path in before | after if before.get(path) != after.get(path)}
    assert {path for path in changed if not path.startswith("audit/")} == {HEADER, "system/manifest"}
    assert (new.id, new.label) == (1, "env:SECOND")
    assert reopen(manager, SECOND).get_secret("A") == "x"
    manager.set_secret("A", "y")
    assert manager.verify().ok


def test_the_old_master_key_no_longer_opens(make_manager, reopen):
    manager = make_manager("sqlite")
    manager.custody.rekey_master(SECOND)
    with pytest.raises(WrongKeyError, match="locked with the key from: env:SECOND"):
        reopen(manager)


@pytest.mark.parametrize("variable", ["NO_SUCH_VARIABLE", "MALFORMED"])
def test_a_new_master_key_that_cannot_be_used_changes_nothing(manager, reopen, monkeypatch, variable):
    monkeypatch.setenv("MALFORMED", "x")
    before = raw(manager)
    for call in (manager.custody.rekey_master, manager.custody.add_recipient):
        with pytest.raises((NoKeyError, InvalidKeyError)):
            call(EnvKeyProvider(variable))
    assert raw(manager) == before
    assert reopen(manager).verify().ok


class Forgetful:
    """A key provider that returns another key than it was given."""

    url = "forgetful:"

    def wrap(self, key, context):
        return b"wrapped"

    def unwrap(self, wrapped, context):
        return bytes(32)


def test_a_provider_that_does_not_return_the_key_is_not_trusted_with_it(manager):
    before = raw(manager)
    with pytest.raises(TamperedError, match="forgetful: does not return the key"):
        manager.custody.rekey_master(Forgetful())
    assert raw(manager) == before


def test_every_recipient_opens_the_store(manager, reopen):
    manager.set_secret("A", "x")
    phrase = PassphraseProvider(lambda: "a long passphrase", Argon2Cost(8, 1, 1))
    assert [manager.custody.add_recipient(key).id for key in (SECOND, phrase)] == [2, 3]
    for key in (SECOND, phrase, "env:SECRETS_MASTER_KEY"):
        assert reopen(manager, key).get_secret("A") == "x"
    assert [r.label for r in manager.custody.recipients()] == ["env:SECRETS_MASTER_KEY", "env:SECOND", "passphrase:"]


def test_a_removed_recipient_opens_nothing_new_and_names_are_told(manager, reopen):
    manager.set_secrets({"A": "x", "B": "y"})
    manager.custody.add_recipient(SECOND)
    assert manager.custody.remove_recipient(2) == ["A", "B"]
    assert [r.id for r in manager.custody.recipients()] == [1]
    unlocked = manager._access.engine.unlocked
    assert unlocked.header.root == 2
    assert unlocked.keyset.primary.id == 4
    assert [(purpose, state) for _, purpose, _, state in states(manager)[:3]] == [
        ("record", "enabled"), ("manifest", "enabled"), ("audit", "enabled"),
    ]  # fmt: skip
    assert manager.get_secret("A") == "x"
    assert manager.custody.finish_rekey() == 2
    assert {key_id(value) for path, value in raw(manager).items() if path.startswith("secret/")} == {4}
    assert manager.verify().ok
    assert manager.verify_audit().ok
    with pytest.raises(WrongKeyError):
        manager._access.engine.unlocked.header.unwrap_root(SECOND)


def test_the_root_key_of_a_removed_recipient_opens_no_later_keyset(manager):
    from strongroom.records.keyset import Keyset

    manager.custody.add_recipient(SECOND)
    root = manager._access.engine.unlocked.root
    manager.custody.remove_recipient(2)
    unlocked = manager._access.engine.unlocked
    stored = raw(manager)[KEYSET]
    assert unlocked.root != root
    for number in (1, 2):
        with pytest.raises(TamperedError):
            Keyset.decrypt(stored, root, number, unlocked.header.store)


def test_those_who_stay_must_give_their_keys(manager, reopen):
    for key in (SECOND, THIRD):
        manager.custody.add_recipient(key)
    before = raw(manager)
    with pytest.raises(WrongKeyError, match=r"recipient 3 \(env:THIRD\) stays, so its key is needed.*--stay"):
        manager.custody.remove_recipient(2)
    assert raw(manager) == before
    manager.custody.remove_recipient(2, stay=[THIRD])
    manager.set_secret("A", "x")
    assert reopen(manager, THIRD).get_secret("A") == "x"
    assert reopen(manager).get_secret("A") == "x"


@pytest.mark.parametrize(("recipient", "error"), [(1, InvalidInputError), (2, NotFoundError), (0, NotFoundError)])
def test_neither_oneself_nor_nobody_is_removed(manager, recipient, error):
    before = raw(manager)
    with pytest.raises(error, match=f"recipient {recipient}"):
        manager.custody.remove_recipient(recipient)
    assert raw(manager) == before


def test_an_id_is_not_given_to_another_recipient(manager):
    for key in (SECOND, THIRD):
        manager.custody.add_recipient(key)
    manager.custody.remove_recipient(2, stay=[THIRD])
    assert manager.custody.add_recipient(SECOND).id == 4


@pytest.mark.parametrize("algorithm", [None, "fernet", "aes-256-gcm"])
def test_rekey_data_encrypts_every_record_anew(manager, algorithm):
    for value in ("one", "two", "three"):
        manager.set_secret("A", value, custom={"a": "b"})
    manager.set_secret("B", b"\0")
    manager.delete_secret("B")
    manager.destroy_secret("A", [1])
    history = manager.history("A")
    before = raw(manager)
    seen = []
    assert manager.custody.rekey_data(algorithm, lambda done, total: seen.append((done, total))) == 3
    assert seen == [(3, 3)]
    primary = manager._access.engine.unlocked.keyset.primary
    assert primary.id == 4
    assert algorithm is None or primary.algorithm == algorithm
    after = {path: value for path, value in raw(manager).items() if path.startswith(("secret/", "version/"))}
    assert {key_id(value) for value in after.values()} == {4}
    assert all(before[path] != value for path, value in after.items())
    assert manager.history("A") == history
    assert manager.metadata("A").custom == {"a": "b"}
    assert [manager.get_secret("A", version=n) for n in (1, 2, 3)] == [None, "two", "three"]
    manager.undelete_secret("B")
    assert manager.get_bytes("B") == b"\0"
    assert manager.verify().ok


def test_rekey_data_to_an_unknown_algorithm_changes_nothing(manager):
    before = raw(manager)
    with pytest.raises(InvalidInputError, match="no algorithm 'rot13'"):
        manager.custody.rekey_data("rot13")
    assert raw(manager) == before


def test_a_rekey_that_was_interrupted_is_finished_later(make_manager, monkeypatch):
    manager = make_manager()
    manager.set_secrets({f"{n:02d}": f"v{n}" for n in range(25)})
    monkeypatch.setattr("strongroom.manager.custody.BATCH", 10)

    def stop(done, total):
        if done == 10:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        manager.custody.rekey_data("fernet", stop)
    assert manager.get_secret("00") == "v0"
    assert manager.get_secret("24") == "v24"
    assert manager.verify().ok
    assert manager.custody.finish_rekey() == 15
    assert manager.custody.finish_rekey() == 0
    assert manager.verify_encryption("24").algorithm == "fernet"


def test_a_record_that_went_while_it_was_to_be_encrypted_anew_is_passed_over(make_manager, reopen, monkeypatch):
    manager = make_manager()
    other = reopen(manager)
    manager.set_secrets({"A": "x", "B": "y"})
    change, seen = Access.change, []

    def interfere(*given):
        if not seen and given[1] == "REKEY" and manager._access.engine.unlocked.keyset.primary.id == 4:
            seen.append(1)
            other.destroy_secret("A", with_history=True)
            other.set_secret("B", "z")
        return change(*given)

    monkeypatch.setattr(Access, "change", interfere)
    manager.custody.rekey_data()
    assert seen
    assert manager.list_secrets() == ["B"]
    assert manager.get_secret("B") == "z"
    assert manager.verify().ok


def test_a_damaged_record_stops_the_rekey_and_says_which(manager, plant):
    manager.set_secret("A", "x")
    with manager._access.engine.store.view() as view:
        stored = view.get("secret/A")
    plant(manager, "secret/A", stored[:-1])
    with pytest.raises(StrongroomError):
        manager.custody.rekey_data()


def test_keys_are_on_record_without_their_bytes(manager):
    manager.custody.add_recipient(SECOND)
    manager.custody.rekey_data()
    log = b"".join(line.text for line in manager._access.audit.sink.lines())
    unlocked = manager._access.engine.unlocked
    for secret in (unlocked.root, unlocked.keyset.primary.secret, KEYS["SECOND"].encode()):
        assert secret not in log
        assert secret.hex().encode() not in log
    assert KEYS["SECOND"] not in repr(manager.custody.keys()) + repr(manager.custody.recipients())


class Log:
    """An audit sink that fails at the second event from `fail` on: the outcome of a change."""

    def __init__(self, inner):
        self._inner, self.left = inner, -1

    def __getattr__(self, name):
        return getattr(self._inner, name)

    def append(self, line):
        self.left -= 1
        if self.left == 0:
            raise AuditError("the log is full")
        self._inner.append(line)


def test_rekey_master_whose_outcome_cannot_be_recorded_goes_on_with_the_new_key(manager, reopen):
    log = Log(manager._access.audit.sink)
    with reopen(manager, audit=log) as other:
        other.custody.add_recipient(THIRD)
        log.left = 2
        with pytest.raises(AuditError, match="the change was made, but not its event"):
            other.custody.rekey_master(SECOND)
        assert other._access.engine.provider is SECOND
        # Another process makes a new root key, for which this one needs its own key again.
        with reopen(manager, SECOND) as third:
            third.custody.remove_recipient(2)
        if other._access.engine.store.url != "memory:":
            assert other.get_secret("A") is None
            other.set_secret("A", "x")


def test_rekey_master_that_was_refused_goes_on_with_the_old_key(manager, reopen):
    log = Log(manager._access.audit.sink)
    with reopen(manager, audit=log) as other:
        provider = other._access.engine.provider
        log.left = 1
        with pytest.raises(AuditError):
            other.custody.rekey_master(SECOND)
        assert other._access.engine.provider is provider


def test_a_removal_whose_outcome_cannot_be_recorded_signs_with_the_new_audit_key(manager, reopen):
    manager.custody.add_recipient(SECOND)
    log = Log(manager._access.audit.sink)
    with reopen(manager, audit=log) as other:
        other.custody.recipients()  # with the first event comes the first line of its stream
        log.left = 2
        with pytest.raises(AuditError, match="the change was made"):
            other.custody.remove_recipient(2)
        keys = other._access.engine.unlocked.keyset.secrets("audit")
        assert other._access.audit._keys == keys
        assert len(keys) == 2
