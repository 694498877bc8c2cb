"""Command line tools that people keep secrets with."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from json import dump
from shlex import join
from subprocess import TimeoutExpired

from bench.contenders import Missing
from bench.processes import Command, environment, output
from bench.shell import Commands, program


class Sops:
    label = "sops (age key)"
    keeps = "encrypted, no record"

    def prepare(self, place: str, values: Mapping[str, str], name: str) -> Commands:
        sops, (secret, public) = program("sops"), _age_keys()
        plain, path = os.path.join(place, "plain.json"), os.path.join(place, "secrets.json")
        with open(plain, "w") as file:
            dump(dict(values), file)
        env = environment(place, SOPS_AGE_KEY=secret)
        output(Command((sops, "encrypt", "--age", public, "--output", path, plain), env))
        return Commands(
            get=Command((sops, "decrypt", "--extract", f'["{name}"]', path), env),
            run=lambda *argv: Command((sops, "exec-env", path, join(argv)), env),
        )


class Age:
    label = "age, a file for each secret"
    keeps = "encrypted, no record"

    def prepare(self, place: str, values: Mapping[str, str], name: str) -> Commands:
        age, (secret, public) = program("age"), _age_keys()
        key, plain, path = (os.path.join(place, part) for part in ("key", "plain", "secret.age"))
        _write(key, secret + "\n")
        _write(plain, values[name])
        env = environment(place)
        output(Command((age, "--recipient", public, "--output", path, plain), env))
        return Commands(get=Command((age, "--decrypt", "--identity", key, path), env), run=None)


class AnsibleVault:
    label = "ansible-vault, a file for each secret"
    keeps = "encrypted, no record"

    def prepare(self, place: str, values: Mapping[str, str], name: str) -> Commands:
        vault, password, path = program("ansible-vault"), os.path.join(place, "pw"), os.path.join(place, "secret")
        _write(password, "a pass phrase\n")
        _write(path, values[name])
        env = environment(place)
        output(Command((vault, "encrypt", "--vault-password-file", password, path), env))
        return Commands(get=Command((vault, "view", "--vault-password-file", password, path), env), run=None)


class Dotenvx:
    label = "dotenvx"
    keeps = "encrypted, no record"

    def prepare(self, place: str, values: Mapping[str, str], name: str) -> Commands:
        dotenvx, path, keys = _install_dotenvx(place), _write_dotenv(place, values), os.path.join(place, ".env.keys")
        env = environment(place)
        output(Command((dotenvx, "encrypt", "-f", path, "-fk", keys), env))
        with open(keys) as file:
            key = re.search(r"^DOTENV_PRIVATE_KEY=(\w+)", file.read(), re.MULTILINE)
        assert key is not None
        os.unlink(keys)
        env["DOTENV_PRIVATE_KEY"] = key[1]
        return Commands(
            get=Command((dotenvx, "get", name, "-f", path), env),
            run=lambda *argv: Command((dotenvx, "run", "--quiet", "-f", path, "--", *argv), env),
        )


class PythonDotenv:
    label = "python-dotenv (`dotenv`)"
    keeps = "**plain text**, no record"

    def prepare(self, place: str, values: Mapping[str, str], name: str) -> Commands:
        dotenv, path, env = program("dotenv"), _write_dotenv(place, values), environment(place)
        return Commands(
            get=Command((dotenv, "-f", path, "get", name), env),
            run=lambda *argv: Command((dotenv, "-f", path, "run", "--", *argv), env),
        )


def _age_keys() -> tuple[str, str]:
    try:
        from pyrage.x25519 import Identity  # type: ignore[import-untyped,unused-ignore]
    except ModuleNotFoundError:
        raise Missing("the Python package pyrage, which makes its key, is not installed") from None
    identity = Identity.generate()
    return str(identity), str(identity.to_public())


def _install_dotenvx(place: str) -> str:
    # Not `npx`, which takes as long again for looking where the program is.
    argv = (program("npm"), "install", "--silent", "--no-fund", "--no-audit", "--prefix", place, "@dotenvx/dotenvx@2")
    try:
        output(Command(argv, os.environ), timeout=120)
    except (RuntimeError, TimeoutExpired):
        raise Missing("npm could not install @dotenvx/dotenvx") from None
    return os.path.join(place, "node_modules", ".bin", "dotenvx")


def _write_dotenv(place: str, values: Mapping[str, str]) -> str:
    path = os.path.join(place, ".env")
    _write(path, "".join(f"{name}={value}\n" for name, value in values.items()))
    return path


def _write(path: str, text: str) -> None:
    with open(path, "w") as file:
        file.write(text)
    os.chmod(path, 0o600)
