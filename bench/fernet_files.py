"""The Fernet-encrypted JSON file that teams write themselves, in the shapes found in the field."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from cryptography.fernet import Fernet


class FernetFile:
    """One Fernet token around a JSON object, read anew for each secret, with a line of JSON for each access."""

    def __init__(self, path: str, key: bytes) -> None:
        self.path = path
        self.fernet = Fernet(key)

    def get_secret(self, name: str) -> str | None:
        value = self._load().get(name)
        self._log("GET", name)
        return value

    def set_secret(self, name: str, value: str) -> None:
        secrets = self._load()
        secrets[name] = value
        self._save(secrets)
        self._log("SET", name)

    def _load(self) -> dict[str, str]:
        with open(self.path, "rb") as file:
            found: dict[str, str] = json.loads(self.fernet.decrypt(file.read()))
        return found

    def _save(self, secrets: Mapping[str, str]) -> None:
        with open(self.path, "wb") as file:
            file.write(self.fernet.encrypt(json.dumps(secrets).encode()))

    def _log(self, action: str, name: str) -> None:
        with open(f"{self.path}.log", "a") as file:
            file.write(_event(action, name))


class DurableFernetFile(FernetFile):
    """The same, written so that a crash or a power loss leaves the old file or the new one."""

    def _save(self, secrets: Mapping[str, str]) -> None:
        with open(f"{self.path}.new", "wb") as file:
            file.write(self.fernet.encrypt(json.dumps(secrets).encode()))
            file.flush()
            os.fsync(file.fileno())
        os.replace(f"{self.path}.new", self.path)
        directory = os.open(os.path.dirname(self.path), os.O_RDONLY)
        os.fsync(directory)
        os.close(directory)


class FernetPerSecret(FernetFile):
    """A JSON object of one token for each name: the file is parsed anew for each secret, but one token decrypted."""

    def get_secret(self, name: str) -> str | None:
        token = self._load().get(name)
        self._log("GET", name)
        return None if token is None else self.fernet.decrypt(token).decode()

    def set_secret(self, name: str, value: str) -> None:
        super().set_secret(name, self.fernet.encrypt(value.encode()).decode())

    def _load(self) -> dict[str, str]:
        with open(self.path) as file:
            found: dict[str, str] = json.load(file)
        return found

    def _save(self, secrets: Mapping[str, str]) -> None:
        with open(self.path, "w") as file:
            json.dump(secrets, file)


class CachedFernetFile(FernetFile):
    """Everything decrypted at start, and the log kept open: the fastest of the kind, which never sees a change."""

    def __init__(self, path: str, key: bytes) -> None:
        super().__init__(path, key)
        self.secrets = self._load()
        self.log = open(f"{path}.log", "a")  # noqa: SIM115 (it stays open as long as the process lives)

    def get_secret(self, name: str) -> str | None:
        self.log.write(_event("GET", name))
        self.log.flush()
        return self.secrets.get(name)


def _event(action: str, name: str) -> str:
    event = {"time": datetime.now(UTC).isoformat(), "action": action, "secret": name, "pid": os.getpid()}
    return json.dumps(event) + "\n"


class WholeFile:
    label = "Fernet JSON file"
    keeps = "encrypted, plain log"
    kind = FernetFile

    def fill(self, place: str, values: Mapping[str, str]) -> None:
        key = Fernet.generate_key()
        with open(os.path.join(place, "key"), "wb") as file:
            file.write(key)
        with open(os.path.join(place, "secrets.enc"), "wb") as file:
            file.write(self.content(Fernet(key), values))

    def content(self, fernet: Fernet, values: Mapping[str, str]) -> bytes:
        return fernet.encrypt(json.dumps(values).encode())

    def reader(self, place: str) -> Callable[[str], str | None]:
        return self._open(place).get_secret

    def writer(self, place: str) -> Callable[[str, str], object]:
        return self._open(place).set_secret

    def _open(self, place: str) -> FernetFile:
        with open(os.path.join(place, "key"), "rb") as file:
            return self.kind(os.path.join(place, "secrets.enc"), file.read())


class DurableWholeFile(WholeFile):
    label = "Fernet JSON file, fsync and rename"
    keeps = "encrypted, plain log, durable"
    kind = DurableFernetFile


class TokenPerSecret(WholeFile):
    label = "JSON file of Fernet tokens"
    kind = FernetPerSecret

    def content(self, fernet: Fernet, values: Mapping[str, str]) -> bytes:
        return json.dumps({name: fernet.encrypt(value.encode()).decode() for name, value in values.items()}).encode()


class Cached(WholeFile):
    label = "Fernet JSON file, cached at start"
    keeps = "encrypted, plain log, **stale** after a change"
    kind = CachedFernetFile
