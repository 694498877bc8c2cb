"""The manager against a model: a plain dictionary with the semantics of Vault's KV version 2.

STRONGROOM_CAMPAIGN=1 runs many more and longer histories.
"""

from __future__ import annotations

import os
from typing import Any
from unittest import mock

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

import strongroom
from strongroom.errors import ConflictError, SecretNotFoundError, VersionNotFoundError

CAMPAIGN = os.environ.get("STRONGROOM_CAMPAIGN") == "1"
KEEP = 3
names = st.sampled_from(["A", "B", "dir/A"])
values = st.sampled_from(["", "x", "y", b"\0", {"user": "u", "n": 1}])
numbers = st.integers(1, 8)
choices = st.none() | st.lists(numbers, max_size=3)


class Version:
    def __init__(self, value: Any, expires: float | None = None) -> None:
        self.value = value
        self.deleted = self.destroyed = False
        self.expires = expires

    def readable(self, now: float) -> bool:
        return not self.deleted and not self.destroyed and (self.expires is None or now < self.expires)


class Model:
    """Name → number → version; the current one is the last."""

    def __init__(self) -> None:
        self.secrets: dict[str, dict[int, Version]] = {}

    def current(self, name: str) -> int:
        return max(self.secrets.get(name, {}), default=0)

    def set(self, name: str, version: Version) -> int:
        number = self.current(name) + 1
        kept = {**self.secrets.get(name, {}), number: version}
        self.secrets[name] = dict(list(kept.items())[-KEEP:])
        return number


class Manager(RuleBasedStateMachine):
    """Drives two managers of one store, by turns, and the model."""

    url = "memory:"

    def __init__(self) -> None:
        super().__init__()
        self.model = Model()
        self.now = 1_800_000_000.0
        self.turn = 0
        clock = mock.patch("time.time", lambda: self.now)  # noqa: PT008 - it goes on
        clock.start()
        self.undo = [clock.stop]

    @initialize(algorithm=st.sampled_from(["aes-256-gcm", "fernet"]))
    def begin(self, algorithm: str) -> None:
        url = self.new_url()
        first = strongroom.init(url, audit="memory:", algorithm=algorithm, max_versions=KEEP)
        store = first._access.engine.store if url == "memory:" else url
        second = strongroom.open(store, audit="memory:", max_versions=KEEP)
        self.managers = [first, second]

    def new_url(self) -> str:
        return self.url

    @property
    def manager(self) -> strongroom.SecretsManager:
        self.turn += 1
        return self.managers[self.turn % 2]

    @rule(name=names, value=values, expires_in=st.none() | st.integers(1, 20))
    def set(self, name, value, expires_in):
        info = self.manager.set_secret(name, value, expires_in=expires_in)
        expires = None if expires_in is None else self.now + expires_in
        assert info.version == self.model.set(name, Version(value, expires))

    @rule(name=names, value=values, cas=st.integers(0, 8))
    def set_with_cas(self, name, value, cas):
        if cas == self.model.current(name):
            assert self.manager.set_secret(name, value, cas).version == self.model.set(name, Version(value))
        else:
            with pytest.raises(ConflictError):
                self.manager.set_secret(name, value, cas)

    @rule(secrets=st.dictionaries(names, values), overwrite=st.booleans())
    def set_many(self, secrets, overwrite):
        if not overwrite and any(self.model.current(name) for name in secrets):
            with pytest.raises(ConflictError):
                self.manager.set_secrets(secrets, overwrite=False)
            return
        done = self.manager.set_secrets(secrets, overwrite=overwrite)
        assert {name: info.version for name, info in done.items()} == {
            name: self.model.set(name, Version(value)) for name, value in secrets.items()
        }

    def mark(self, method, name, chosen, default, change):
        """Apply `change` to versions of the model, and the method of the manager; both must agree that it did."""
        versions = self.model.secrets.get(name)
        if versions and chosen and set(chosen) - set(versions):
            with pytest.raises(VersionNotFoundError):
                method(name, chosen)
            return
        wanted = default(versions or {0: None}) if chosen is None else chosen
        hit = [change(versions[number]) for number in sorted(set(wanted))] if versions else []
        assert method(name, chosen) == any(hit)

    @rule(name=names, chosen=choices)
    def delete(self, name, chosen):
        def change(version):
            live = not version.deleted and not version.destroyed
            version.deleted |= live
            return live

        self.mark(self.manager.delete_secret, name, chosen, lambda versions: [max(versions)], change)

    @rule(name=names, chosen=choices)
    def undelete(self, name, chosen):
        def change(version):
            hidden = version.deleted and not version.destroyed
            version.deleted = version.deleted and not hidden
            return hidden

        self.mark(self.manager.undelete_secret, name, chosen, lambda versions: [max(versions)], change)

    @rule(name=names, chosen=choices)
    def destroy(self, name, chosen):
        def change(version):
            there, version.destroyed, version.value = not version.destroyed, True, None
            return there

        self.mark(self.manager.destroy_secret, name, chosen, list, change)

    @rule(name=names)
    def forget(self, name):
        assert self.manager.destroy_secret(name, with_history=True) == (name in self.model.secrets)
        self.model.secrets.pop(name, None)

    @rule(name=names, number=numbers)
    def rollback(self, name, number):
        versions = self.model.secrets.get(name)
        version = (versions or {}).get(number)
        if version is None or version.deleted or version.destroyed:
            with pytest.raises(SecretNotFoundError if versions is None else VersionNotFoundError):
                self.manager.rollback(name, number)
        elif version.readable(self.now):
            assert self.manager.rollback(name, number).version == self.model.set(name, Version(version.value))

    @rule(seconds=st.integers(1, 15))
    def wait(self, seconds):
        self.now += seconds

    @precondition(lambda self: self.turn % 5 == 0)
    @rule(algorithm=st.sampled_from([None, "fernet", "aes-256-gcm"]))
    def rekey(self, algorithm):
        self.manager.custody.rekey_data(algorithm)

    @rule(name=names, number=st.none() | numbers)
    def read(self, name, number):
        version = self.model.secrets.get(name, {}).get(number or self.model.current(name))
        expected = version.value if version and version.readable(self.now) else None
        found = self.manager.get_data(name, version=number)
        assert found == (expected if expected is None or isinstance(expected, dict) else {"value": expected})

    @invariant()
    def the_state_is_that_of_the_model(self):
        if not hasattr(self, "managers"):
            return
        model = self.model.secrets
        listed = [
            n
            for n, versions in model.items()
            if not (versions[max(versions)].deleted or versions[max(versions)].destroyed)
        ]
        assert self.manager.list_secrets() == sorted(listed)
        for name in ("A", "B", "dir/A"):
            states = [(info.version, info.deleted is not None, info.destroyed) for info in self.manager.history(name)]
            assert states == [(n, v.deleted, v.destroyed) for n, v in model.get(name, {}).items()]

    @rule()
    def verify(self):
        report = self.manager.verify()
        assert report.problems == ()
        kept = [version for versions in self.model.secrets.values() for version in list(versions.values())[:-1]]
        assert report.versions == len(self.model.secrets) + sum(not version.destroyed for version in kept)

    def teardown(self) -> None:
        for manager in getattr(self, "managers", []):
            manager.close()
        for undo in self.undo:
            undo()


@pytest.mark.parametrize(("kind", "examples"), [("memory", 30), ("file", 6), ("sqlite", 6)])
def test_the_manager_does_what_the_model_says(kind, examples, tmp_path, master_key):
    class OnThisStore(Manager):
        made = 0

        def new_url(self) -> str:
            OnThisStore.made += 1
            return "memory:" if kind == "memory" else f"{kind}:{tmp_path}/{self.made}"

    limits = settings(
        max_examples=examples * (25 if CAMPAIGN else 1), stateful_step_count=60 if CAMPAIGN else 25, deadline=None
    )
    run_state_machine_as_test(OnThisStore, settings=limits)
