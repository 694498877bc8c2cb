"""`scan` in a repository whose every file was written by somebody else: it runs nothing but git, and always ends."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

VALUE = "correct horse battery staple"
KEY = "fmjCyL2qxjpYWm64MTp2zfC7cHWrS3nAbIAVVXL7Uvo="
EVERYTHING = ("scan", "--staged", "--git-history", ".")
CLEAN = {"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}
SETTINGS = {
    "signature": "[gpg]\nprogram={evil}\n[log]\nshowSignature=true\n",
    "signature of another format": "[gpg]\nformat=ssh\n[gpg \"ssh\"]\nprogram={evil}\n[log]\nshowSignature=true\n",
    "fsmonitor": "[core]\nfsmonitor={evil}\n",
    "fsmonitor of a work tree": "[extensions]\nworktreeConfig=true\n",
    "hooks": "[core]\nhooksPath={directory}/hooks\n",
    "pager": "[core]\npager={evil}\n[pager]\nlog={evil}\ndiff={evil}\ncat-file={evil}\n",
    "external diff": "[diff]\nexternal={evil}\n",
    "drivers of attributes": '[diff "x"]\ntextconv={evil}\ncommand={evil}\n[filter "x"]\nclean={evil}\nsmudge={evil}\n'
    "process={evil}\nrequired=true\n",
    "include": "[include]\npath={directory}/included\n",
    "include if": '[includeIf "gitdir:**"]\npath={directory}/included\n',
    "lazy fetch": "[core]\nrepositoryFormatVersion=1\n[extensions]\npartialClone=origin\n"
    '[remote "origin"]\nurl={directory}\npromisor=true\nuploadpack={evil}\n',
    "lazy fetch over ssh": "[core]\nrepositoryFormatVersion=1\nsshCommand={evil}\n[extensions]\npartialClone=origin\n"
    '[remote "origin"]\nurl=ssh://example.invalid/x\npromisor=true\n',
    "lazy fetch through a helper": "[core]\nrepositoryFormatVersion=1\n[extensions]\npartialClone=origin\n"
    '[remote "origin"]\nurl=ext::{evil}\npromisor=true\n[protocol]\nallow=always\n',
    "references of alternates": "[core]\nalternateRefsCommand={evil}\n",
    "editor, questions, credentials": "[core]\neditor={evil}\naskPass={evil}\n[credential]\nhelper=!{evil}\n",
    "another work tree": "[core]\nworktree=/\nfsmonitor={evil}\n",
}  # fmt: skip


def git(*words: str, **more) -> str:
    options = ("-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "init.defaultBranch=main")
    argv = ["git", *options, *words]
    return subprocess.run(argv, check=True, capture_output=True, text=True, env=CLEAN, **more).stdout.strip()


class Trap:
    """A repository with a leak in its history, and a program that leaves a mark when anybody runs it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory / "clone"
        self.mark = directory / "ran"
        self.evil = directory / "evil"
        self.evil.write_text(f"#!/bin/sh\necho x >> '{self.mark}'\ncat\n")
        self.evil.chmod(0o755)
        git("init", "-q", str(self.directory))
        (self.directory / ".gitattributes").write_text("* diff=x filter=x\n")
        (self.directory / "leak").write_text(VALUE)
        self.add_signed_commit()
        (self.directory / "leak").write_text(f"again: {VALUE}")
        git("add", "leak", cwd=self.directory)

    def add_signed_commit(self) -> None:
        git("add", "-A", cwd=self.directory)
        git("commit", "-q", "-m", "begin", cwd=self.directory)
        commit = git("cat-file", "commit", "HEAD", cwd=self.directory)
        signature = "gpgsig -----BEGIN PGP SIGNATURE-----\n \n xx\n -----END PGP SIGNATURE-----\n"
        signed = commit.replace("\n\n", "\n" + signature + "\n", 1) + "\n"
        made = git("hash-object", "-t", "commit", "-w", "--stdin", cwd=self.directory, input=signed)
        git("update-ref", "HEAD", made, cwd=self.directory)

    def set(self, settings: str) -> None:
        (self.directory / "included").write_text(f"[core]\nfsmonitor={self.evil}\n[gpg]\nprogram={self.evil}\n"
                                                 "[log]\nshowSignature=true\n")  # fmt: skip
        for hooks in (self.directory / "hooks", self.directory / ".git" / "hooks"):
            hooks.mkdir(exist_ok=True)
            for name in ("pre-commit", "post-index-change", "fsmonitor-watchman", "reference-transaction"):
                shutil.copy(self.evil, hooks / name)
        (self.directory / ".git" / "config.worktree").write_text(f"[core]\nfsmonitor={self.evil}\n")
        with (self.directory / ".git" / "config").open("a") as file:
            file.write(settings.replace("{evil}", str(self.evil)).replace("{directory}", str(self.directory)))


@pytest.fixture
def trap(tmp_path: Path) -> Trap:
    return Trap(tmp_path)


@pytest.fixture
def scan(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run `scan` with a store elsewhere, whose only secret is in the repository too."""
    where = ("--store", f"sqlite:{tmp_path}/secrets.db", "--audit", f"file:{tmp_path}/audit.log")
    environ = CLEAN | {"SECRETS_MASTER_KEY": KEY, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}

    def run(*words: str, cwd: Path, before: tuple[str, ...] = (), stdin: str = "", **more: str):
        argv = [*before, sys.executable, "-m", "strongroom", *words, *where]
        return subprocess.run(
            argv, cwd=cwd, env=environ | more, input=stdin, capture_output=True, text=True, timeout=60
        )

    assert run("init", cwd=tmp_path).returncode == 0
    assert run("set", "DB", cwd=tmp_path, stdin=VALUE).returncode == 0
    return run


@pytest.mark.parametrize("settings", SETTINGS)
def test_no_program_that_settings_name_is_run(trap, scan, settings):
    trap.set(SETTINGS[settings])
    done = scan(*EVERYTHING, cwd=trap.directory)
    assert (done.returncode, "DB" in done.stdout) == (1, True), done.stderr
    assert not trap.mark.exists()


def test_missing_objects_of_a_partial_clone_are_not_fetched(trap, scan):
    trap.set(SETTINGS["lazy fetch"])
    blob = git("hash-object", "leak", cwd=trap.directory)
    os.unlink(trap.directory / ".git" / "objects" / blob[:2] / blob[2:])
    assert "git has no object" in scan("scan", "--staged", cwd=trap.directory).stderr
    assert scan("scan", "--git-history", cwd=trap.directory).returncode == 1
    assert not trap.mark.exists()


@pytest.mark.skipif(not shutil.which("strace"), reason="there is no strace here to see which programs are run")
def test_nothing_but_git_is_run(trap, scan, tmp_path):
    trap.set("".join(SETTINGS[each] for each in SETTINGS if "lazy" not in each) + SETTINGS["lazy fetch"])
    strace = ("strace", "-f", "-qq", "-e", "trace=execve", "-o", str(tmp_path / "calls"))
    if subprocess.run([*strace, "true"], capture_output=True).returncode:
        pytest.skip("strace may not trace here")
    assert scan(*EVERYTHING, cwd=trap.directory, before=strace).returncode == 1
    run = re.findall(r'execve\("([^"]+)".* = 0', (tmp_path / "calls").read_text())
    assert {os.path.basename(path) for path in run[1:]} == {"git"}
    assert not trap.mark.exists()


def _file_that_leads_elsewhere(trap: Trap) -> Path:
    shutil.move(trap.directory / ".git", trap.directory / "elsewhere")
    (trap.directory / ".git").write_text("gitdir: elsewhere\n")
    return trap.directory


def _linked_work_tree(trap: Trap) -> Path:
    linked = trap.directory.parent / "linked"
    git("worktree", "add", "-q", str(linked), cwd=trap.directory)
    (linked / "leak").write_text(f"once more: {VALUE}")
    git("add", "leak", cwd=linked)
    return linked


def _bare_repository_inside(trap: Trap) -> Path:
    bare = trap.directory / "fixtures" / "bare"
    bare.parent.mkdir()
    shutil.copytree(trap.directory / ".git", bare)
    return bare


def _borrowed_objects(trap: Trap) -> Path:
    shared = trap.directory.parent / "shared"
    git("clone", "-q", "--shared", str(trap.directory), str(shared))
    (shared / "leak").write_text(f"once more: {VALUE}")
    git("add", "leak", cwd=shared)
    shutil.copy(trap.directory / ".git" / "config", shared / ".git" / "config")
    return shared


def _submodule(trap: Trap) -> Path:
    outer = trap.directory.parent / "outer"
    git("init", "-q", str(outer))
    git("-c", "protocol.file.allow=always", "submodule", "add", "-q", str(trap.directory), "inner", cwd=outer)
    (outer / "inner" / "leak").write_text(f"once more: {VALUE}")
    git("add", "leak", cwd=outer / "inner")
    shutil.copy(trap.directory / ".git" / "config", outer / ".git" / "modules" / "inner" / "config")
    return outer / "inner"


@pytest.mark.parametrize(
    "shape",
    [_file_that_leads_elsewhere, _linked_work_tree, _bare_repository_inside, _borrowed_objects, _submodule],
)
def test_every_shape_of_repository_is_looked_through_and_none_runs_a_program(trap, scan, shape):
    directory = shape(trap)
    trap_settings = SETTINGS["signature"] + SETTINGS["fsmonitor"] + SETTINGS["lazy fetch"]
    for config in trap.directory.parent.rglob("config"):
        with config.open("a") as file:
            file.write(trap_settings.replace("{evil}", str(trap.evil)).replace("{directory}", str(trap.directory)))
    done = scan("scan", "--git-history", "--staged", cwd=directory)
    assert (done.returncode, "\tleak:1" in done.stdout, ":leak:1" in done.stdout) == (1, True, True), done.stderr
    assert not trap.mark.exists()


def test_git_gets_no_key_and_nothing_else_of_the_environment(trap, scan, tmp_path):
    (tmp_path / "bin").mkdir()
    wrapper = tmp_path / "bin" / "git"
    wrapper.write_text(f'#!/bin/sh\nenv >> {tmp_path}/seen\nexec {shutil.which("git")} "$@"\n')
    wrapper.chmod(0o755)
    path = f"{wrapper.parent}:{os.environ['PATH']}"
    assert scan(*EVERYTHING, cwd=trap.directory, PATH=path, OTHER_TOKEN=VALUE).returncode == 1
    seen = (tmp_path / "seen").read_text()
    assert "GIT_DIR=" in seen
    assert not any(text in seen for text in (KEY, VALUE, "MASTER_KEY", "OTHER_TOKEN"))


@pytest.mark.parametrize("path", [".:{}", ":{}", "bin:{}"])
def test_a_program_called_git_in_the_repository_is_not_git(trap, scan, path):
    (trap.directory / "bin").mkdir()
    for place in ("git", "bin/git"):
        shutil.copy(trap.evil, trap.directory / place)
    done = scan("scan", "--git-history", cwd=trap.directory, PATH=path.format(os.environ["PATH"]))
    assert "DB" in done.stdout
    assert not trap.mark.exists()


@pytest.mark.parametrize("variable", ["GIT_CONFIG_PARAMETERS", "GIT_EXTERNAL_DIFF", "GIT_CONFIG_COUNT", "GIT_PAGER"])
def test_variables_of_git_have_no_say(trap, scan, variable):
    values = {"GIT_CONFIG_PARAMETERS": f"'core.fsmonitor'='{trap.evil}'", "GIT_CONFIG_COUNT": "1"}
    more = {"GIT_CONFIG_KEY_0": "core.fsmonitor", "GIT_CONFIG_VALUE_0": str(trap.evil)}
    given = {variable: values.get(variable, str(trap.evil))} | more
    assert scan("scan", "--staged", cwd=trap.directory, **given).returncode == 1
    assert not trap.mark.exists()


@pytest.mark.parametrize("text", ["--output={}", "-O{}", "ref: refs/heads/../../../{}", "ref: {}", "nonsense {}"])
def test_head_names_a_commit_and_is_no_option_or_path(trap, scan, tmp_path, text):
    (tmp_path / "victim").write_text("mine")
    (trap.directory / ".git" / "HEAD").write_text(text.format(tmp_path / "victim") + "\n")
    assert scan("scan", "--staged", cwd=trap.directory).returncode == 2
    assert (tmp_path / "victim").read_text() == "mine"


@pytest.mark.parametrize("name", ["config", "index", "objects/ab/" + "c" * 38, "objects/info/alternates", "HEAD",
                                  "shallow", "commondir"])  # fmt: skip
@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_a_pipe_or_device_in_place_of_a_file_stops_nobody(trap, scan, name, kind):
    path = trap.directory / ".git" / name
    path.parent.mkdir(exist_ok=True)
    path.unlink(missing_ok=True)
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    assert scan(*EVERYTHING, cwd=trap.directory).returncode in (1, 2)


@pytest.mark.parametrize("name", ["config", "index", "HEAD", "shallow", "packed-refs", "sharedindex." + "a" * 40])
@pytest.mark.parametrize("command", ["--staged", "--git-history"])
def test_a_file_of_a_terabyte_fills_neither_memory_nor_disk(trap, scan, name, command):
    """An archive brings such a file in a few bytes, as it is sparse."""
    git("pack-refs", "--all", cwd=trap.directory)
    with (trap.directory / ".git" / name).open("ab") as file:
        file.truncate(1 << 40)
    assert scan("scan", command, cwd=trap.directory).returncode in (1, 2)


def test_a_commit_graph_and_replacements_hide_nothing(trap, scan):
    git("commit", "-q", "-m", "second", cwd=trap.directory)
    git("commit-graph", "write", "--reachable", cwd=trap.directory)
    blob = git("rev-parse", "HEAD:leak", cwd=trap.directory)
    clean = git("hash-object", "-w", "--stdin", cwd=trap.directory, input="clean")
    git("replace", blob, clean, cwd=trap.directory)
    graph = trap.directory / ".git" / "objects" / "info" / "commit-graph"
    graph.chmod(0o644)
    graph.write_bytes(b"\0" * graph.stat().st_size)
    done = scan("scan", "--git-history", cwd=trap.directory)
    assert len(re.findall(r"commit \w{12}:leak:1", done.stdout)) == 2, done.stdout


def test_shallow_and_sha256_and_split_repositories_are_looked_through(trap, scan):
    git("commit", "-q", "-m", "second", cwd=trap.directory)
    shallow = trap.directory.parent / "shallow"
    git("clone", "-q", "--depth=1", f"file://{trap.directory}", str(shallow))
    done = scan("scan", "--git-history", cwd=shallow)
    assert re.search(r"commit \w{12}:leak:1", done.stdout), done.stdout + done.stderr

    other = trap.directory.parent / "sha256"
    git("init", "-q", "--object-format=sha256", str(other))
    for number in range(3):
        (other / f"file{number}").write_text("x" * number)
    git("-c", "core.splitIndex=true", "add", "-A", cwd=other)
    (other / "leak").write_text(VALUE)
    git("-c", "core.splitIndex=true", "add", "leak", cwd=other)
    assert list((other / ".git").glob("sharedindex.*"))
    assert "leak:1" in scan("scan", "--staged", cwd=other).stdout
    git("commit", "-q", "-m", "first", cwd=other)
    git("pack-refs", "--all", cwd=other)
    assert scan("scan", "--staged", cwd=other).returncode == 0
    assert re.search(r"commit \w{12}:leak:1", scan("scan", "--git-history", cwd=other).stdout)
