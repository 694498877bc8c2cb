"""`scan`, on real files, a real git repository and archives as Docker writes them."""

from __future__ import annotations

import base64
import gzip
import io
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from .conftest import Cli, Result

VALUE = 'c0rrect "horse"/battery+stäple'
ENCODED = {
    "raw": VALUE,
    "url": "https://u:c0rrect%20%22horse%22%2Fbattery%2Bst%C3%A4ple@h/",
    "json": json.dumps({"password": VALUE}),
    "hex": VALUE.encode().hex(),
    "base64": base64.b64encode(b"Basic u:" + VALUE.encode()).decode(),
}


@pytest.fixture
def scan(store: Cli) -> Callable[..., list[tuple[str, str]]]:
    """Return what runs `scan --json`, and returns form and place:line of what it found."""
    assert store("set", "DB", stdin=VALUE).code == 0

    def scan(*words: str) -> list[tuple[str, str]]:
        result = store("scan", "--json", *words)
        found = json.loads(result.out)
        assert {row["name"] for row in found} <= {"DB"}
        assert result.code == bool(found), result.err
        assert_hidden(result)
        return sorted((row["form"], f"{row['place']}:{row['line']}") for row in found)

    return scan


def assert_hidden(result: Result) -> None:
    assert not any(text in result.out + result.err for text in ("c0rrect", ENCODED["hex"], "YzByc"))


def git(*words: str) -> str:
    options = ("-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "init.defaultBranch=main")
    return subprocess.run(["git", *options, *words], check=True, capture_output=True, text=True).stdout.strip()


def commit(message: str) -> str:
    git("add", "-A")
    git("commit", "-q", "-m", message)
    return git("rev-parse", "HEAD")[:12]


@pytest.mark.parametrize("form", ENCODED)
def test_a_value_is_found_in_a_file_in_every_form(scan, project: Path, form):
    (project / "deep" / "er").mkdir(parents=True)
    (project / "deep" / "er" / "file").write_text(f"first line\n{ENCODED[form]}\n")
    assert (form, "deep/er/file:2") in scan()


def test_a_clean_tree_is_clean_and_each_value_read_is_on_record(scan, store: Cli, project: Path):
    assert scan() == []
    log = (project / "logs" / "secrets_audit.log").read_text().splitlines()
    reads = [event for event in map(json.loads, log) if event.get("action") == "GET"]
    assert [(event["name"], event["version"], event["outcome"]) for event in reads] == [("DB", 1, "ok")]


def test_older_versions_and_fields_are_found_with_name_and_version(store: Cli, project: Path):
    store("set", "A", stdin="the first value")
    store("set", "A", stdin="the second value")
    store("set", "db", "--json-data", stdin='{"user": "me", "password": "another value", "port": 1}')
    (project / "leak").write_text("the second value\nthe first value\nanother value")
    result = store("scan")
    assert result.code == 1
    assert sorted(result.out.splitlines()) == [
        "A\t1\traw\tleak:2\t1", "A\t2\traw\tleak:1\t1", "db:password\t1\traw\tleak:3\t1",
    ]  # fmt: skip
    assert "Values not looked for, as they would be found by chance: 1 " in result.err


def test_packed_and_ignored_files_are_looked_through_and_links_and_pipes_are_not(scan, project: Path):
    (project / "app.log.1.gz").write_bytes(gzip.compress(f"\n\n{VALUE}".encode()))
    (project / ".gitignore").write_text("ignored\n")
    (project / "ignored").write_text(VALUE)
    (project / "link").symlink_to("ignored")
    (project / "dangling").symlink_to("nowhere")
    os.mkfifo(project / "pipe")
    assert scan() == [("raw", "app.log.1.gz:3"), ("raw", "ignored:1")]


def test_what_cannot_be_read_is_no_clean_result(scan, store: Cli, project: Path):
    (project / "cut.gz").write_bytes(gzip.compress(b"x" * 1000)[:-9])
    for path in ("cut.gz", "no-such-file"):
        result = store("scan", path)
        assert result.code == 1
        assert f"warning: {path} was not looked through" in result.err


def test_a_history_is_looked_through_with_what_was_removed_and_amended(scan, project: Path):
    git("init", "-q", ".")
    (project / "src").mkdir()
    (project / "src" / "app.py").write_text(f"\n{ENCODED['json']}\n")
    first = commit("begin")
    (project / "src" / "app.py").write_text("clean\n")
    second = commit(f"say {VALUE}")
    (project / "lost").write_text(ENCODED["base64"])
    blob = git("hash-object", "-w", "lost")[:12]
    (project / "lost").unlink()
    assert scan() == []
    found = scan("--git-history")
    assert found == [
        ("base64", f"blob {blob}:1"), ("json", f"commit {first}:src/app.py:2"), ("raw", f"commit {second}:6"),
    ]  # fmt: skip


def test_staged_looks_at_what_is_staged_and_at_nothing_else(scan, project: Path):
    git("init", "-q", ".")
    (project / "staged").write_text(VALUE)
    git("add", "staged")
    (project / "staged").write_text("changed again, and not staged")
    (project / "new").write_text(VALUE)
    assert scan("--staged") == [("raw", "staged:1")]
    commit("all")
    assert scan("--staged") == []


def test_a_hook_stops_a_commit(scan, store: Cli, project: Path, process):
    git("init", "-q", ".")
    (project / "a").write_text(VALUE)
    git("add", "a")
    result = process("scan", "--staged")
    assert result.returncode == 1
    assert VALUE.encode() not in result.stdout + result.stderr
    (project / "a").write_text("clean")
    git("add", "a")
    assert process("scan", "--staged").returncode == 0


ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("how", [("-m", "x"), ("-am", "x"), ("-m", "x", "a")], ids=["staged", "all", "one file"])
def test_the_hook_of_this_repository_stops_each_kind_of_commit_of_git(scan, project: Path, monkeypatch, how):
    """`git commit -a` and `git commit FILE` have an index of their own, which git names to the hook."""
    manifest = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    program, *words = manifest[0]["entry"].split()
    assert program == "strongroom"
    git("init", "-q", ".")
    (project / "a").write_text("clean")
    before = commit("begin")
    hook = project / ".git" / "hooks" / "pre-commit"
    hook.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m strongroom {" ".join(words)}\n')
    hook.chmod(0o755)
    (project / "a").write_text(VALUE)
    if how == ("-m", "x"):
        git("add", "a")
    with pytest.raises(subprocess.CalledProcessError) as refused:
        git("commit", "-q", *how)
    assert "DB" in refused.value.stdout + refused.value.stderr
    assert VALUE not in refused.value.stdout + refused.value.stderr
    assert git("rev-parse", "HEAD")[:12] == before
    (project / "a").write_text("clean again")
    git("commit", "-q", "-a", "-m", "x")


def test_a_log_is_looked_through(scan, project: Path):
    lines = ("2026-01-01 INFO started", f"2026-01-01 ERROR refused: {ENCODED['json']}", "2026-01-01 INFO goes on")
    (project / "app.log").write_text("\n".join(lines))
    with gzip.open(project / "app.log.1.gz", "wt") as older:
        older.write(f"{lines[0]}\n{ENCODED['url']}\n")
    assert scan("app.log", "app.log.1.gz") == [("json", "app.log:2"), ("url", "app.log.1.gz:2")]


def test_without_a_repository_the_error_says_so(scan, store: Cli):
    result = store("scan", "--git-history")
    assert result.code == 2
    assert "no git repository" in result.err


def archive(files: dict[str, bytes], mode: str = "w") -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode=mode) as tar:
        for name, content in files.items():
            about = tarfile.TarInfo(name)
            about.size = len(content)
            tar.addfile(about, io.BytesIO(content))
    return made.getvalue()


@pytest.mark.parametrize("mode", ["w", "w:gz"])
@pytest.mark.parametrize("outer", ["w", "w:gz"])
def test_the_layers_and_documents_of_an_image_are_looked_through(scan, project: Path, mode, outer):
    layer = archive({"etc/clean": b"clean", "etc/app.conf": f"\npassword={VALUE}".encode()}, mode)
    config = json.dumps({"config": {"Env": [f"PASSWORD={VALUE}"]}}).encode()
    old = archive({"var/log.gz": gzip.compress(VALUE.encode())}, mode)
    image = {"blobs/sha256/" + "ab" * 32: layer, "blobs/sha256/" + "cd" * 32: config, "ef/layer.tar": old}
    (project / "image.tar").write_bytes(archive(image, outer))
    assert scan("--image", "image.tar") == [
        ("json", "image.tar!blobs/sha256/" + "cd" * 32 + ":1"),
        ("raw", "image.tar!ef/layer.tar!var/log.gz:1"),
        ("raw", "image.tar!sha256/abababababab!etc/app.conf:2"),
    ]


def test_a_layer_that_cannot_be_unpacked_is_no_clean_result(scan, store: Cli, project: Path):
    layer = archive({"a": bytes(5000)}, "w:gz")
    for content in (layer[:-20], b"\x28\xb5\x2f\xfd" + bytes(600)):
        (project / "image.tar").write_bytes(archive({"layer.tar": content}))
        result = store("scan", "--image", "image.tar")
        assert (result.code, "was not looked through" in result.err) == (1, True)


def test_a_file_that_is_no_image_is_refused(scan, store: Cli, project: Path):
    (project / "image.tar").write_bytes(b"no archive" * 100)
    assert store("scan", "--image", "image.tar").code == 2
    assert store("scan", "--image", "none.tar").code == 2
