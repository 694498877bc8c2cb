"""git-service: keeps what signed webhooks bring in a bare git repository, one commit for each."""

from __future__ import annotations

import os
import subprocess
import threading
from contextlib import suppress
from typing import Any

from shared.python.service import Refusal, Request, Service
from shared.python.signatures import SigningKey

REPOSITORY = os.environ.get("GIT_REPOSITORY", "repository.git")
WHO = {f"GIT_{role}_{field}": value for role in ("AUTHOR", "COMMITTER")
       for field, value in (("NAME", "git-service"), ("EMAIL", "git-service@localhost"))}  # fmt: skip

service = Service("git-service")
key = SigningKey("WEBHOOK_SECRET", grace=3600)
one_at_a_time = threading.Lock()


@service.post("hooks")
def take(request: Request) -> dict[str, Any]:
    """Commit the body of a webhook as the file `NAME` of `/hooks/NAME`."""
    signature = b""
    with suppress(ValueError):
        signature = bytes.fromhex(request.headers.get("X-Hub-Signature-256", "").removeprefix("sha256="))
    if not key.has_signed(request.body, signature):
        raise Refusal(401, "this webhook is not signed by our key")
    with one_at_a_time:
        blob = git("hash-object", "-w", "--stdin", given=request.body)
        tree = git("mktree", given=f"100644 blob {blob}\t{request.rest}\n".encode())
        parent = git("for-each-ref", "--format=%(objectname)", "refs/heads/main")
        commit = git("commit-tree", tree, "-m", f"Receive {request.rest}", *(["-p", parent] if parent else []))
        git("update-ref", "refs/heads/main", commit)
    return {"commit": commit}


@service.get("log")
def log(_: Request) -> dict[str, Any]:
    """Return the subjects of all commits, newest first."""
    return {"commits": git("log", "--format=%s", "main").splitlines()}


def git(*arguments: str, given: bytes = b"") -> str:
    """Run git on the repository."""
    done = subprocess.run(
        ["git", "-C", REPOSITORY, *arguments], input=given, capture_output=True, check=True, env=os.environ | WHO
    )
    return done.stdout.decode().strip()


if __name__ == "__main__":
    if not os.path.exists(REPOSITORY):
        subprocess.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", REPOSITORY], check=True)
    service.run()
