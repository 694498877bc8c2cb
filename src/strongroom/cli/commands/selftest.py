"""`selftest`: eight things that an auditor asks, tried out on this installation."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

from strongroom.cli import session
from strongroom.cli.arguments import Arguments, Command
from strongroom.cli.output import Output
from strongroom.cli.scratch import Scratch, seen_by
from strongroom.errors import StrongroomError, TamperedError, WrongKeyError
from strongroom.generate.generate import generate_value
from strongroom.model import SECRET

NAME = "POSTGRES_PASSWORD"


def selftest(args: Arguments, out: Output) -> int:
    """Run the checks in a scratch store; 1 when one failed."""
    import tempfile

    config = session.settings(args)
    results = []
    with tempfile.TemporaryDirectory(prefix="strongroom-selftest-") as directory:
        scratch = Scratch(directory, config)
        scratch.init()
        out.say(f"a scratch store: {scratch.store}, key {scratch.key}, audit log {scratch.audit}")
        with scratch.reader(NAME) as reader:
            trial = Trial(scratch, reader)
            for claim, check in trial.checks():
                problem = _problem(check)
                results.append({"claim": claim, "ok": problem is None, "problem": problem})
                if not out.json:
                    out.check("ok" if problem is None else "FAIL", claim, problem or "")
        for missing in scratch.not_tried:
            results.append({"claim": f"not tried: {missing}", "ok": None, "problem": None})
            if not out.json:
                out.check("warn", f"not tried: {missing}", "its suite in strongroom.testing tries it")
    if out.json:
        out.document(results)
    return 1 if any(result["ok"] is False for result in results) else 0


def _problem(check: Callable[[], str | None]) -> str | None:
    """Return what is wrong in words, None when the check passes."""
    try:
        return check()
    except StrongroomError as error:
        return str(error)
    except Exception as error:
        # Its own words might hold the scratch value, which is nobody's, but a habit is a habit.
        return f"unexpected {type(error).__name__}"


class Trial:
    """The checks, in the order in which they build on each other. Each returns what is wrong, or None."""

    def __init__(self, scratch: Scratch, reader: subprocess.Popen[str]) -> None:
        self.scratch = scratch
        self.reader = reader
        # With characters that URLs and shells treat in their own ways.
        self.value = generate_value(24) + "/@:%é"
        self.new = ""

    def checks(self) -> list[tuple[str, Callable[[], str | None]]]:
        """Return each claim and its check."""
        return [
            ("a database password is stored", self.stored),
            ("it is encrypted at rest: its bytes are nowhere in the store, its journals or the log", self.encrypted),
            ("it is retrieved at runtime, by the command line and by a running service", self.retrieved),
            ("it is decrypted correctly", self.decrypted),
            ("it is rotated, and the value before is kept as a version", self.rotated),
            ("a second process that was running all along picks the new value up", self.picked_up),
            ("a wrong key, an unknown name and a forged record are refused", self.refused),
            ("each of these accesses is in the audit log, and its chain verifies", self.on_record),
        ]

    def stored(self) -> str | None:
        """Check 1."""
        with self.scratch.open() as secrets:
            made = secrets.set_secret(NAME, self.value)
        return None if made.version == 1 else f"it got version {made.version}"

    def encrypted(self) -> str | None:
        """Check 2: the running reader keeps the journals in place meanwhile."""
        with self.scratch.open() as secrets:
            report = secrets.verify_encryption(NAME)
        if not (report.authentic and report.plaintext_absent):
            return "the record is not encrypted"
        found = self.scratch.files_with(self.value)
        return f"it is in {', '.join(found)}" if found else None

    def retrieved(self) -> str | None:
        """Check 3."""
        got = self.scratch.command("get", NAME)
        if got.returncode or not got.stdout:
            return f"`strongroom get` ended with exit code {got.returncode}"
        return None if seen_by(self.reader, self.value) else "the running process does not see it"

    def decrypted(self) -> str | None:
        """Check 4."""
        if self.scratch.command("get", NAME, "-n").stdout != self.value.encode():
            return "`strongroom get` printed something else"
        with self.scratch.open() as secrets:
            return None if secrets.get_secret(NAME) == self.value else "get_secret() returned something else"

    def rotated(self) -> str | None:
        """Check 5."""
        with self.scratch.open() as secrets:
            made = secrets.rotate_secret(NAME)
            self.new = secrets.require_secret(NAME)
            kept = secrets.get_secret(NAME, version=1) == self.value
        if made.version != 2 or self.new == self.value or not kept:
            return "the value did not change, or the previous value is lost"
        found = self.scratch.files_with(self.value, self.new)
        return f"a value is in the clear in {', '.join(found)}" if found else None

    def picked_up(self) -> str | None:
        """Check 6."""
        return None if seen_by(self.reader, self.new) else "it still sees another value"

    def refused(self) -> str | None:
        """Check 7."""
        try:
            self.scratch.open(self.scratch.other_key()).close()
            return "the store opened with a wrong key"
        except WrongKeyError:
            pass
        if self.scratch.command("get", "UNKNOWN_NAME").returncode != 3:
            return "an unknown name was not refused with exit code 3"
        self._forge()
        with self.scratch.open() as secrets:
            try:
                secrets.get_secret(NAME)
            except TamperedError:
                return None
        return "a forged record was accepted"

    def _forge(self) -> None:
        """Flip one bit of the record, below strongroom."""
        from strongroom import drivers

        store = drivers.store(self.scratch.store)
        with store.transaction() as tx:
            record = tx.get(SECRET + NAME) or b""
            tx.put(SECRET + NAME, record[:-1] + bytes([record[-1] ^ 1]))
        store.close()

    def on_record(self) -> str | None:
        """Check 8."""
        with self.scratch.open() as secrets:
            events = secrets.get_audit_logs(None)
            report = secrets.verify_audit()
        seen = {(event["action"], event["outcome"], event.get("reason")) for event in events}
        wanted = {
            ("SET", "ok", None), ("VERIFY", "ok", None), ("GET", "ok", None), ("ROTATE", "ok", None),
            ("OPEN", "failed", "wrong_key"), ("GET", "not_found", "missing"), ("GET", "failed", "tampered"),
        }  # fmt: skip
        if wanted - seen:
            return f"not on record: {', '.join(sorted(f'{action} {outcome}' for action, outcome, _ in wanted - seen))}"
        if not any(event["service"] == "selftest-reader" and event["action"] == "GET" for event in events):
            return "the second process's reads are not on record"
        return report.problems[0].message if report.problems else None


COMMANDS = {
    "selftest": Command(
        selftest,
        exits=(0, 1, 2, 8, 9),
        description="""\
Tries on this installation, with real processes, eight things that an auditor asks, and prints one line for each. It
works in a scratch store in a temporary directory: of the same kinds as yours (the store, the key provider, the audit
log), but with keys of its own. Your store is not touched. A kind that cannot be made in a directory, such as memory: or
a driver of your own, is not tried; a line for it says so, and what was tried in its place. The exit code is 1 when a
check fails.""",
        examples="""\
strongroom selftest          eight lines
strongroom selftest --json   the same for a program""",
    ),
}
