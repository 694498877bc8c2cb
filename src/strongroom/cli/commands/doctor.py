"""`doctor`: look for problems, and say what to do."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator

from strongroom.audit.query import moment
from strongroom.cli import judging, session, surroundings, times
from strongroom.cli.arguments import Arguments, Command
from strongroom.cli.judging import FAIL, OK, WARN, Finding
from strongroom.cli.output import Output, counted
from strongroom.cli.rotation import findings as rotation_findings
from strongroom.errors import StrongroomError
from strongroom.manager.manager import SecretsManager
from strongroom.opening import StrongroomWarning
from strongroom.settings.config import Config


def doctor(args: Arguments, out: Output) -> int:
    """Run every check; 1 when one failed."""
    failed = False
    findings = []
    for finding in _findings(args):
        failed = failed or finding.state == FAIL
        if out.json:
            findings.append(finding._asdict())
        else:
            out.check(*finding)
    if out.json:
        out.document(findings)
    return 1 if failed else 0


def _findings(args: Arguments) -> Iterator[Finding]:
    yield _versions()
    try:
        reviewed = session.review(args)
    except StrongroomError as error:
        yield Finding(FAIL, "the settings are wrong", str(error))
        yield from judging.check_what_is_here()
        return
    config = reviewed.config._replace(on_rollback="warn")
    allowed = True
    for finding in judging.check_settings(reviewed):
        allowed = allowed and finding.state != FAIL
        yield finding
    yield from surroundings.check_files(config)
    if allowed:
        # A key that may be a stranger's is not tried: his store would be found to be in order.
        yield from _check_store(config)
    yield from surroundings.check_machine(config)


def _versions() -> Finding:
    import platform
    import sqlite3
    from importlib.metadata import version

    from strongroom import __version__

    return Finding(
        OK,
        f"strongroom {__version__}, Python {platform.python_version()}, cryptography {version('cryptography')}, "
        f"SQLite {sqlite3.sqlite_version}",
    )


def _check_store(config: Config) -> Iterator[Finding]:
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", StrongroomWarning)
            secrets = session.open_with(config)
    except StrongroomError as error:
        yield Finding(FAIL, f"the store {config.store} cannot be opened with the key from {config.key}", str(error))
        return
    with secrets:
        yield Finding(OK, f"the key from {config.key} opens the store {config.store}, whose id is {secrets.store_id}")
        yield from (Finding(WARN, "the store is older than the audit log says", str(w.message)) for w in caught)
        yield from _check_contents(secrets, config)


def _check_contents(secrets: SecretsManager, config: Config) -> Iterator[Finding]:
    try:
        yield _check_records(secrets)
        yield _check_log(secrets, config)
        yield _check_clock(secrets)
        yield from rotation_findings.check_rotations(secrets, config)
    except StrongroomError as error:
        yield Finding(FAIL, "the checks could not be finished", str(error))


def _check_records(secrets: SecretsManager) -> Finding:
    report = secrets.verify()
    if report.ok:
        read = f"{counted(report.secrets, 'secret')} in {counted(report.versions, 'version')}"
        return Finding(OK, f"{read}: all as strongroom wrote them")
    what = f"{counted(len(report.problems), 'problem')} in the store, first: {report.problems[0]}"
    return Finding(FAIL, what, "look with `strongroom verify`, and restore a backup")


def _check_log(secrets: SecretsManager, config: Config) -> Finding:
    report = secrets.verify_audit()
    if not report.problems:
        return Finding(OK, f"the audit log {config.audit} takes events, and its chain verifies")
    what = f"{counted(len(report.problems), 'problem')} in the audit log, first: {report.problems[0].message}"
    return Finding(FAIL, what, "look with `strongroom audit verify`")


def _check_clock(secrets: SecretsManager) -> Finding:
    """The clock must not be behind what is on record."""
    now = time.time()
    created = max((recipient.added for recipient in secrets.custody.recipients()), default=0.0)
    events = secrets.get_audit_logs(5)
    # What anybody can have written says nothing of the clock.
    newest = max((moment(event["ts"]).timestamp() for event in events if "authentic" not in event), default=0.0)
    if max(created, newest) > now + 5:
        return Finding(
            FAIL, f"the clock says {times.iso(now)}, but events are on record until {times.iso(max(created, newest))}",
            "set the clock: expiry and the order of events depend on it",
        )  # fmt: skip
    return Finding(OK, f"the clock says {times.iso(now)}, after all that is on record")


COMMANDS = {
    "doctor": Command(
        doctor,
        exits=(0, 1, 2),
        description="""\
Checks the installation and prints one line for each check: ok, warn or FAIL, what was found, and what to do. Looked at
are the versions, which settings count and what of them needs `strongroom allow`, who can read, write or replace the
settings, the store, the key and the audit log, in every directory on the way to them, whether this user can write,
whether the key opens the store, every record, the audit log's chain, rotations that are overdue, failed or half done,
git, the clock, the disk and core dumps. The exit code is 1 when something is FAIL.""",
        examples="""\
strongroom doctor          look at everything
strongroom doctor --json   the same for monitoring""",
    ),
}
