"""What `doctor` looks at first: which settings count, and who can put others in the place of the files in use."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from typing import NamedTuple

from strongroom.settings import permits, trust
from strongroom.settings.config import Review
from strongroom.settings.discovery import PYPROJECT, SETTINGS_FILE, STORE_FILES
from strongroom.system import ways

OK, WARN, FAIL = "ok", "warn", "FAIL"


class Finding(NamedTuple):
    """One line of the report."""

    state: str
    what: str
    advice: str = ""


def check_settings(reviewed: Review) -> Iterator[Finding]:
    """Say which file of settings counts, and what needs permission."""
    project = reviewed.project
    if project.settings is None:
        yield Finding(OK, f"there is no file of settings; the project's directory is {project.directory}")
    elif project.named:
        yield Finding(OK, f"the settings in {project.settings} count: the file was named")
    elif trust.is_roots(project.settings):
        yield Finding(OK, f"the settings in {project.settings} count: the file is root's, and out of your reach")
    else:
        yield Finding(OK, f"the settings in {project.settings} count: the file was found, not named")
    for claim in reviewed.claims:
        if permits.is_allowed(claim.identity):
            yield Finding(OK, f"you have allowed it: {claim.text}")
        else:
            what, advice = f"your permission is needed: {claim.text}", f"`strongroom allow`, or name it: {claim.mend}"
            yield Finding(FAIL, what, advice)
    if project.settings is not None:
        yield from check_way("file of settings", project.settings)


def check_what_is_here() -> Iterator[Finding]:
    """Judge the ways to what lies in the working directory, where the settings cannot be read."""
    files = {SETTINGS_FILE: "file of settings", PYPROJECT: "file of settings"} | dict.fromkeys(STORE_FILES, "store")
    for name, what in files.items():
        if os.path.lexists(name):
            yield from check_way(what, os.path.abspath(name))


def check_way(what: str, path: str) -> Iterator[Finding]:
    """Check every directory on the way to the file, links followed: whoever can write to one can replace the file."""
    directory = os.path.dirname(os.path.abspath(path))
    try:
        found = [_check(what, step, status) for step, status in ways.steps(path) if stat.S_ISDIR(status.st_mode)]
    except OSError as error:
        yield Finding(WARN, f"the way to the {what} {path} cannot be examined: {error.strerror}")
        return
    wrong = [finding for finding in found if finding is not None]
    right = f"nobody else can replace the {what}: {directory} and all above it are closed to others"
    yield from wrong or [Finding(OK, right)]


def _check(what: str, directory: str, status: os.stat_result) -> Finding | None:
    mode = stat.S_IMODE(status.st_mode)
    if status.st_uid not in (0, os.geteuid()):
        owner = f"user {status.st_uid} can replace the {what}: {directory} is theirs"
        return Finding(WARN, owner, "check that this is intended")
    if mode & 0o002 and mode & stat.S_ISVTX:
        shown = f"anybody can put files beside the {what}, or on the way to it: {directory} is sticky (mode {mode:04o})"
        return Finding(WARN, shown, "move it to a directory of your own")
    if mode & 0o002:
        shown = f"anybody can replace the {what}: {directory} has mode {mode:04o}"
        return Finding(FAIL, shown, _closing(directory, status))
    if mode & 0o020 and not ways.is_private_group(directory, status):
        shown = f"a group can replace the {what}: {directory} has mode {mode:04o}"
        return Finding(WARN, shown, f"check that this is intended; else: chmod g-w {directory}")
    return None


def _closing(directory: str, status: os.stat_result) -> str:
    """Return how to close a directory so that this user can still write there."""
    if status.st_uid == os.geteuid() or os.geteuid() == 0:
        return f"chmod o-w {directory}"
    return f"as root: chown {os.geteuid()} {directory} && chmod o-w {directory}"
