"""The main job, with real processes: store, read, rotate, refuse, prove. Run it with `make demo`.

Everything happens in a scratch directory that is removed at the end, except with `--keep`.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

STRONGROOM = [sys.executable, "-m", "strongroom"]
HERE = os.path.dirname(os.path.abspath(__file__))
PAUSE = 1.2 if sys.stdout.isatty() else 0.0
MOST_LINES = 8
FIRST_PASSWORD = "correct-horse-battery-staple"


def main() -> int:
    """Tell the story; returns the exit code: not 0 when something did not happen as told."""
    scratch = tempfile.mkdtemp(prefix="strongroom-demo-")
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("STRONGROOM_", "SECRETS_"))
    }
    # Named, since nothing is found below /tmp, where anybody could have put it.
    environment |= {"STRONGROOM_STORE": "sqlite:secrets.db", "STRONGROOM_KEY": "file:master.key"}
    story = Story(scratch, environment)
    try:
        for chapter in (
            story.begin,
            story.at_rest,
            story.read_and_rotate,
            story.wrong_key,
            story.tampering,
            story.audit,
        ):
            chapter()
        say("That was it. Next: README.md, or `strongroom --help`.")
        return 0
    except Failed as failure:
        say(f"NOT AS TOLD: {failure}")
        return 1
    finally:
        if "--keep" in sys.argv:
            say(f"kept: {scratch}")
        else:
            shutil.rmtree(scratch)


class Failed(Exception):
    """Something did not happen as the story says."""


class Story:
    """One store in one directory, and what happens to it."""

    def __init__(self, directory: str, environment: dict[str, str]) -> None:
        self.directory = directory
        self.environment = environment

    def begin(self) -> None:
        """A master key, a store, a secret."""
        say("1. A master key, a store, and a database password.")
        self.run("keygen", "--output", "master.key")
        self.run("init")
        self.run("set", "POSTGRES_PASSWORD", given=FIRST_PASSWORD)
        self.expect(self.run("get", "POSTGRES_PASSWORD"), FIRST_PASSWORD, "the password came back")

    def at_rest(self) -> None:
        """The ciphertext as it lies on disk."""
        say("2. What lies on the disk: ciphertext. The password itself is nowhere.")
        held = b""
        for folder, _, files in os.walk(self.directory):
            for name in files:
                with open(os.path.join(folder, name), "rb") as file:
                    held += file.read()
        start = held.find(b"secret/POSTGRES_PASSWORD")
        if start < 0 or FIRST_PASSWORD.encode() in held:
            raise Failed("the store should hold the name in the clear, and the password only encrypted")
        dump(held[start : start + 96])
        say(f"   searched {len(held):,} bytes in all files for the password: not there")
        self.run("list", "--long")

    def read_and_rotate(self) -> None:
        """A running service reads; the password is rotated; the same process reads the new one."""
        say("3. A service process starts, and reads the password when it needs it.")
        service = subprocess.Popen(
            [sys.executable, os.path.join(HERE, "service.py")],
            cwd=self.directory, env=self.environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        with service:
            show(ask(service, None))
            before = ask(service, "request")
            show(before)
            self.expect(before, FIRST_PASSWORD[-6:], "the service reads the first password")
            say(f"4. We rotate it. The service (pid {service.pid}) goes on running.")
            self.run("rotate", "POSTGRES_PASSWORD", "--generate")
            after = ask(service, "request")
            show(after)
            rotated = self.run("get", "POSTGRES_PASSWORD", quiet=True).strip()
            self.expect(after, rotated[-6:], "the same process reads the new password")
            self.run("history", "POSTGRES_PASSWORD")

    def wrong_key(self) -> None:
        """Another master key opens nothing."""
        say("5. Somebody comes with another master key.")
        other = self.run("keygen", quiet=True).strip()
        self.run("get", "POSTGRES_PASSWORD", code=4, environment={"SECRETS_MASTER_KEY": other})

    def tampering(self) -> None:
        """One byte of the record is changed in the database."""
        say("6. Somebody changes one byte of the record in the database, past strongroom.")
        record = "entries WHERE path = 'secret/POSTGRES_PASSWORD'"
        forge = (
            "import sqlite3; db = sqlite3.connect('secrets.db');"
            f'value, = db.execute("SELECT value FROM {record}").fetchone();'
            "forged = value[:-1] + bytes([value[-1] ^ 1]);"
            f'db.execute("UPDATE {record.replace(" WHERE", " SET value = ? WHERE")}", (forged,)); db.commit()'
        )
        subprocess.run([sys.executable, "-c", forge], cwd=self.directory, check=True)
        self.run("get", "POSTGRES_PASSWORD", code=5)
        self.run("verify", code=5)

    def audit(self) -> None:
        """Who did what, and that nobody changed the record of it."""
        say("7. Every one of these accesses is on record, refusals too.")
        events = self.run("audit", "log", "--json", quiet=True)
        for event in reversed([json.loads(line) for line in events.splitlines()]):
            if event["action"] == "OPEN" and event["outcome"] == "ok":
                continue
            version = f"version {event['version']}" if event.get("version") else ""
            words = (
                event["ts"][11:19],
                event["action"],
                event["outcome"],
                event.get("reason", ""),
                version,
                event["service"],
            )
            print("     {:9} {:7} {:7} {:10} {:10} by {}".format(*words))
        self.run("audit", "verify")
        say("8. Somebody removes a line from the audit log.")
        log = os.path.join(self.directory, "logs", "secrets_audit.log")
        with open(log) as file:
            lines = file.readlines()
        with open(log, "w") as file:
            file.writelines(lines[:5] + lines[6:])
        self.run("audit", "verify", code=5)

    def run(
        self, *arguments: str, given: str | None = None, code: int = 0, quiet: bool = False,
        environment: dict[str, str] | None = None,
    ) -> str:  # fmt: skip
        """Run a command, show it and what it prints, and return its output; it must end with `code`."""
        if not quiet:
            shown = ("SECRETS_MASTER_KEY=… " if environment else "") + " ".join(("strongroom", *arguments))
            print(f"   $ {'printf … | ' if given else ''}{shown}")
        given_key = {"STRONGROOM_KEY": ""} | environment if environment else {}
        done = subprocess.run(
            [*STRONGROOM, *arguments], cwd=self.directory, env=self.environment | given_key,
            input=given or "", text=True, capture_output=True, check=False,
        )  # fmt: skip
        if not quiet:
            show(done.stderr + done.stdout)
        if done.returncode != code:
            raise Failed(f"`strongroom {' '.join(arguments)}` ended with {done.returncode}, not {code}: {done.stderr}")
        return done.stdout

    def expect(self, text: str, part: str, claim: str) -> None:
        """Fail unless `part` is in `text`."""
        if part not in text:
            raise Failed(claim)


def ask(service: subprocess.Popen[str], request: str | None) -> str:
    """Send a request to the service, if any, and return its answer."""
    assert service.stdin is not None
    assert service.stdout is not None
    if request:
        service.stdin.write(request + "\n")
        service.stdin.flush()
    return service.stdout.readline()


def say(words: str) -> None:
    """Print a line of the story, and leave time to read it."""
    bold, plain = ("\x1b[1m", "\x1b[0m") if sys.stdout.isatty() else ("", "")
    print(f"\n{bold}{words}{plain}", flush=True)
    time.sleep(PAUSE)


def show(text: str) -> None:
    """Print what a process printed, indented."""
    lines = text.splitlines()
    for line in lines[:MOST_LINES]:
        print(f"     {line}", flush=True)
    if len(lines) > MOST_LINES:
        print(f"     … and {len(lines) - MOST_LINES} lines more", flush=True)


def dump(data: bytes) -> None:
    """Print bytes as a hex dump."""
    for start in range(0, len(data), 16):
        row = data[start : start + 16]
        text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)
        print(f"     {row.hex(' '):47}  {text}")


if __name__ == "__main__":
    sys.exit(main())
