"""Settings, stores and keys that a clone or an archive brings along: all its files are the victim's own."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import strongroom
from strongroom import fallback, generate_master_key
from strongroom.cli import main
from strongroom.errors import ConfigError, DeniedError, InvalidKeyError, KeyProviderError, WrongKeyError
from strongroom.key_providers.file import create
from strongroom.settings import toml
from strongroom.settings.config import load

from .conftest import ME, python_as, strongroom_as

pytestmark = pytest.mark.own_directory

THEIRS, OURS = "value-of-the-stranger", "value-of-the-victim"
ASK = "import strongroom; print(strongroom.get_secret_or_env('DB', default='the default'))"


@pytest.fixture(autouse=True)
def environment(monkeypatch, tmp_path):
    """No setting from outside, and an empty memory of what was allowed."""
    for name in [name for name in os.environ if name.startswith(("STRONGROOM_", "SECRETS_MASTER_KEY"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture(scope="module")
def theirs(tmp_path_factory) -> Path:
    """What is in the stranger's repository: stores, and their key in two files."""
    directory = tmp_path_factory.mktemp("theirs")
    (directory / "theirs.key").write_text(generate_master_key())
    (directory / "theirs.key").chmod(0o600)
    for url in (f"sqlite:{directory}/theirs.db", f"file:{directory}/theirs.enc"):
        with strongroom.init(url, f"file:{directory}/theirs.key", "memory:") as secrets:
            secrets.set_secret("DB", THEIRS)
    shutil.copyfile(directory / "theirs.key", directory / "secret.txt")
    return directory


@pytest.fixture
def clone(theirs, tmp_path, monkeypatch) -> Path:
    """A clone of that repository, in files of modes that look private."""
    clone = tmp_path / "clone"
    clone.mkdir()
    for name in ("theirs.key", "secret.txt", "theirs.db", "theirs.enc"):
        shutil.copyfile(theirs / name, clone / name)
        (clone / name).chmod(0o600)
    monkeypatch.chdir(clone)
    return clone


def say(clone: Path, text: str, name: str = "strongroom.toml") -> None:
    (clone / name).write_text(f"[tool.strongroom]\n{text}\n" if name == "pyproject.toml" else f"{text}\n")


# A store with a key that the stranger knows

BRING = {
    "settings": {"strongroom.toml": 'store = "sqlite:theirs.db"\nkey = "file:theirs.key"'},
    "pyproject": {"pyproject.toml": 'store = "sqlite:theirs.db"\nkey = "file:theirs.key"'},
    "passphrase": {"strongroom.toml": 'store = "sqlite:theirs.db"\nkey = "passphrase:secret.txt"'},
    "default names": {"secrets.db": "theirs.db", "master.key": "theirs.key"},
    "document": {"secrets.enc": "theirs.enc", "master.key": "theirs.key"},
    "links": {"secrets.db": "theirs.db", "master.key": "theirs.key", "how": "link"},
    "settings and default key": {"strongroom.toml": 'store = "sqlite:theirs.db"', "master.key": "theirs.key"},
}


def bring(clone: Path, kind: str) -> None:
    for name, what in BRING[kind].items():
        if name.endswith(".toml"):
            say(clone, what, name)
        elif name != "how":
            if "how" in BRING[kind]:
                (clone / name).symlink_to(what)
            else:
                (clone / what).rename(clone / name)
    fallback.reset()


@pytest.mark.parametrize("kind", BRING)
def test_a_store_with_a_key_that_came_along_is_not_opened(clone, kind, monkeypatch, capsys):
    bring(clone, kind)
    monkeypatch.setenv("DB", "from the environment")
    before = {path.name: path.read_bytes() for path in clone.iterdir()}
    for words in (["get", "DB"], ["list"], ["run", "--", "env"], ["rotate", "DB"], ["init", "-y"]):
        assert main(words) == 2, words
        out, err = capsys.readouterr()
        assert THEIRS not in out + err
        assert "`strongroom allow`" in err
    monkeypatch.setattr("sys.stdin", io.StringIO(OURS))
    assert main(["set", "DB"]) == 2
    with pytest.raises(ConfigError, match="was not made here by strongroom"):
        strongroom.get_secret_or_env("DB")
    assert {path.name: path.read_bytes() for path in clone.iterdir()} == before


@pytest.mark.parametrize("kind", BRING)
def test_with_a_key_in_the_environment_their_store_does_not_open(clone, kind, monkeypatch):
    """As in continuous integration: SECRETS_MASTER_KEY counts more than what lies in a directory."""
    bring(clone, kind)
    monkeypatch.setenv("SECRETS_MASTER_KEY", generate_master_key())
    with pytest.raises(WrongKeyError):
        strongroom.open()
    with pytest.raises(WrongKeyError):
        strongroom.get_secret_or_env("DB")


@pytest.mark.parametrize("kind", BRING)
def test_what_the_user_allows_is_used_until_it_changes(clone, kind, capsys):
    bring(clone, kind)
    assert main(["allow"]) == 0
    assert main(["get", "DB"]) == (4 if kind == "passphrase" else 0)
    assert main(["allow", "--list"]) == 0
    assert str(clone) in capsys.readouterr().out
    key = next(path for path in (clone / "master.key", clone / "theirs.key") if path.exists())
    if kind == "passphrase":
        key = clone / "secret.txt"
    content = key.read_text()
    key.unlink()
    key.write_text(content)
    key.chmod(0o600)
    assert main(["get", "DB"]) == 2, "another file in its place"
    assert main(["allow"]) == 0
    if (clone / "strongroom.toml").exists():
        with (clone / "strongroom.toml").open("a") as file:
            file.write('on_error = "fallback"\n')
        assert main(["get", "DB"]) == 2, "other content"
        assert main(["allow"]) == 0
    assert main(["allow", "--revoke"]) == 0
    assert main(["get", "DB"]) == 2


@pytest.mark.parametrize("how", ["--config", "STRONGROOM_CONFIG", "--key", "STRONGROOM_KEY"])
def test_what_the_user_names_needs_no_permission(clone, how, monkeypatch, capsys):
    bring(clone, "settings" if "config" in how.lower() else "default names")
    value = "strongroom.toml" if "config" in how.lower() else "file:master.key"
    if how.startswith("--"):
        assert main([how, value, "get", "DB"]) == 0
    else:
        monkeypatch.setenv(how, value)
        assert main(["get", "DB"]) == 0
    assert capsys.readouterr().out == f"{THEIRS}\n"


# What a file of settings that was only found may not say

BEYOND = [
    'key = "passphrase:/proc/self/personality"',
    'key = "file:/proc/self/environ"',
    'key = "passphrase:/sys/kernel/notes"',
    'key = "file:../theirs.key"',
    'key = "passphrase:/etc/hostname"',
    'key = "file:a/../../outside.key"',
    'store = "sqlite:../other/secrets.db"',
    'store = "/srv/other/secrets.db"',
    'store = "file:linked/secrets.enc"',
    'store = "memory:"',
    'store = "postgresql://app:hunter2@host/db"',
    'audit = "memory:"',
    'audit = "file:../../.bash_profile"',
    'audit = "file:linked/x.log"',
    'audit = "file:.git/config"',
    'audit = "file:conftest.py"',
    'audit = "file:.bashrc"',
    'audit = "file:/dev/null"',
    "audit_keep = 1",
    "audit_max_bytes = 1",
    'on_error = "fallback"',
    'on_rollback = "warn"',
]


@pytest.mark.parametrize("name", ["strongroom.toml", "pyproject.toml"])
@pytest.mark.parametrize("text", BEYOND)
def test_what_goes_beyond_the_bounds_needs_permission(clone, text, name, monkeypatch):
    (clone / "linked").symlink_to("..")
    say(clone, text, name)
    monkeypatch.setenv("SECRETS_MASTER_KEY", generate_master_key())
    if text.startswith("key"):
        monkeypatch.delenv("SECRETS_MASTER_KEY")
    with pytest.raises(ConfigError, match="needs your permission") as caught:
        load()
    assert "hunter2" not in str(caught.value)
    assert main(["allow"]) == 0
    load()
    (clone / name).write_text((clone / name).read_text() + "# another comment\n")
    with pytest.raises(ConfigError, match="needs your permission"):
        load()


@pytest.mark.parametrize("text", BEYOND)
def test_a_setting_that_the_user_gives_overrules_the_one_that_was_found(clone, text, monkeypatch):
    (clone / "linked").symlink_to("..")
    say(clone, text)
    name = text.split()[0]
    given = {"key": "env:MINE", "store": "sqlite:mine.db", "audit": "file:mine.log", "sync": "fsync"}
    given |= {"on_error": "raise", "on_rollback": "refuse", "audit_keep": "0", "audit_max_bytes": "100000"}
    monkeypatch.setenv(f"STRONGROOM_{name.upper()}", given[name])
    assert str(getattr(load(), name)) == given[name]


def test_usual_settings_need_no_permission(clone, monkeypatch):
    say(
        clone,
        'store = "sqlite:data/app.db"\naudit = "file:logs/app.log"\nkey = "env:APP_KEY"\nactor = "billing"\n'
        'service = "billing"\nsync = "fsync"\nmax_versions = 5\non_rollback = "refuse"\naudit_max_bytes = 1000000\n'
        '[[policy]]\nactor = "*"\nname = "*"\ncapabilities = ["read"]',
    )
    assert load().actor == "billing"
    monkeypatch.setenv("SECRETS_MASTER_KEY", "x")
    assert load().key == "env:SECRETS_MASTER_KEY"


@pytest.mark.parametrize("what", ["strongroom.toml", "secrets.db", "logs", "logs/secrets_audit.log", "master.key"])
def test_links_do_not_lead_out_of_a_clone(clone, tmp_path, what, monkeypatch):
    target = tmp_path / "of-the-victim"
    if what == "logs":
        target.mkdir()
    elif what == "master.key":
        create(str(target), generate_master_key())
        (clone / "secrets.db").write_bytes((clone / "theirs.db").read_bytes())
    else:
        target.write_text("max_versions = 5")
    (clone / what).parent.mkdir(exist_ok=True)
    (clone / what).symlink_to(target)
    if what == "logs/secrets_audit.log":
        monkeypatch.setenv("SECRETS_MASTER_KEY", generate_master_key())
    with pytest.raises(ConfigError, match="needs your permission"):
        load()
    assert main(["allow"]) == 0
    load()
    other = tmp_path / "another"
    target.rename(other)
    (clone / what).unlink()
    (clone / what).symlink_to(other)
    with pytest.raises(ConfigError, match="needs your permission"):
        load()


# Keys that everybody knows


@pytest.mark.parametrize(
    "key", ["passphrase:/proc/self/personality", "file:/proc/self/personality", "passphrase:empty"]
)
def test_a_file_of_no_size_is_no_key_even_when_it_is_named(clone, key):
    (clone / "empty").touch(0o600)
    with pytest.raises(InvalidKeyError, match="it is empty"):
        strongroom.init("mine.db", key, "memory:")


# An identity


@pytest.mark.parametrize("text", ["$(touch pwned)", "`id`", "a\\nb", "\\u001b[2J", "'; id; '", 'x\\"x'])
@pytest.mark.parametrize("name", ["actor", "service"])
def test_a_name_that_a_shell_would_run_is_refused_wherever_it_comes_from(clone, name, text, monkeypatch):
    say(clone, f'{name} = "{text}"')
    with pytest.raises(ConfigError, match=f"{name} is"):
        load()
    say(clone, "")
    with pytest.raises(ConfigError, match=f"{name} is"):
        load({f"STRONGROOM_{name.upper()}": "$(id)"})
    with pytest.raises(ConfigError, match=f"{name} is"):
        load({}, **{name: "a\x1b[2J"})


def test_the_name_of_a_script_and_of_a_bound_actor_are_safe(make_manager, clone, monkeypatch):
    monkeypatch.setattr("sys.argv", ["/tmp/$(touch pwned)\n`id`'\".py"])
    secrets = make_manager("memory", service=None)
    secrets.set_secret("A", "x")
    assert secrets.get_audit_logs(1)[0]["service"] == "$(touch pwned)__id___.py".replace("$(", "__").replace(")", "_")
    for actor in ("$(id)", "a\nb", "a`b"):
        with pytest.raises(ConfigError):
            secrets.bind(actor)


# A policy


@pytest.mark.parametrize("text", ["policy = []", "[tool.x]\n[tool.strongroom]\npolicy = []"])
def test_an_empty_policy_allows_nothing(clone, text, monkeypatch):
    monkeypatch.setenv("SECRETS_MASTER_KEY", generate_master_key())
    strongroom.init().close()
    name = "pyproject.toml" if "tool" in text else "strongroom.toml"
    (clone / name).write_text(text)
    with strongroom.open() as secrets:
        for attempt in (lambda: secrets.set_secret("A", "x"), lambda: secrets.get_secret("A"), secrets.list_secrets):
            with pytest.raises(DeniedError):
                attempt()
    with strongroom.open(config=str(clone / name)) as secrets, pytest.raises(DeniedError):
        secrets.get_secret("A")
    (clone / name).unlink()
    with strongroom.open(policy=[]) as secrets, pytest.raises(DeniedError):
        secrets.get_secret("A")


@pytest.mark.parametrize("text", ["[policy]", "policy = [[]]", "[[policy]]", "policy = ''", "policy = {}"])
def test_a_policy_of_another_shape_is_an_error(clone, text, monkeypatch):
    monkeypatch.setenv("SECRETS_MASTER_KEY", generate_master_key())
    strongroom.init().close()
    say(clone, text)
    with pytest.raises(ConfigError, match="policy"):
        strongroom.open()


# What init writes


@pytest.mark.parametrize("kind", ["link", "dangling link", "hard link", "fifo", "link to a directory"])
def test_init_writes_to_no_file_that_a_gitignore_leads_to(clone, tmp_path, kind, monkeypatch, capsys):
    (clone / ".git").mkdir()
    victim = tmp_path / ".bashrc"
    victim.write_text("mine\n")
    ignore = clone / ".gitignore"
    if kind == "link":
        ignore.symlink_to(victim)
    elif kind == "dangling link":
        ignore.symlink_to(tmp_path / ".bash_login")
    elif kind == "hard link":
        ignore.hardlink_to(victim)
    elif kind == "fifo":
        os.mkfifo(ignore)
    else:
        ignore.symlink_to(tmp_path)
    assert main(["init", "-y"]) == 0
    assert "never commit master.key" in capsys.readouterr().err
    assert victim.read_text() == "mine\n"
    assert not (tmp_path / ".bash_login").exists()
    assert main(["doctor"]) == 0


# What stays without a question


def test_ones_own_project_needs_no_permission_without_any_home(home):
    """Neither HOME nor a line in /etc/passwd: as in a container with a user of its own."""
    made = strongroom_as(ME, "init", "--generate-key", cwd=home)
    assert made.returncode == 0, made.stderr
    assert strongroom_as(ME, "set", "DB", cwd=home, stdin=OURS).returncode == 0
    (home / "sub").mkdir()
    for cwd in (home, home / "sub"):
        assert strongroom_as(ME, "get", "DB", cwd=cwd).stdout == f"{OURS}\n"
        assert python_as(ME, "-c", ASK, cwd=cwd).stdout == f"{OURS}\n"


def test_a_key_made_by_keygen_and_moved_into_place_is_known(clone):
    assert main(["keygen", "-o", "new.key"]) == 0
    os.rename("new.key", "master.key")
    assert main(["init"]) == 0
    assert main(["list"]) == 0


def test_a_key_that_init_was_given_is_known_from_then_on(clone):
    (clone / "theirs.key").rename(clone / "master.key")
    assert main(["init"]) == 2
    assert main(["init", "--key", "file:master.key"]) == 0
    assert main(["list"]) == 0


def test_a_key_that_rekey_was_given_is_known_from_then_on(clone):
    assert main(["init", "-y"]) == 0
    assert main(["rekey", "master", "--to", "file:theirs.key"]) == 0
    os.rename("theirs.key", "master.key")
    assert main(["list"]) == 0


@pytest.mark.parametrize("kind", ["made", "given"])
def test_where_files_carry_no_notes_the_key_is_remembered_in_the_home(clone, kind, monkeypatch, capsys):
    monkeypatch.setattr("strongroom.system.files.mark", lambda file: False)
    if kind == "given":
        (clone / "theirs.key").rename(clone / "master.key")
        assert main(["init", "--key", "file:master.key"]) == 0
    else:
        assert main(["init", "-y"]) == 0
    assert main(["list"]) == 0
    monkeypatch.setenv("XDG_STATE_HOME", str(clone / "master.key" / "no directory"))
    assert main(["list"]) == 2
    monkeypatch.chdir(clone.parent)
    assert main(["init", "-y"]) == 0
    assert "name it each time: --key file:master.key" in capsys.readouterr().err


def test_a_copied_note_says_nothing(clone):
    create("master.key", generate_master_key())
    note = os.getxattr("master.key", "user.strongroom.made")
    os.setxattr("theirs.key", "user.strongroom.made", note)
    os.rename("theirs.key", "master.key")
    os.rename("theirs.db", "secrets.db")
    assert main(["get", "DB"]) == 2


def test_a_key_file_that_cannot_be_read_is_no_reason_to_fall_back(clone, monkeypatch):
    assert main(["init", "-y"]) == 0
    fallback.reset()
    real = os.read

    def fail(descriptor, size):
        if os.readlink(f"/proc/self/fd/{descriptor}").endswith("master.key"):
            raise OSError(5, "Input/output error")
        return real(descriptor, size)

    monkeypatch.setattr(os, "read", fail)
    with pytest.raises(KeyProviderError, match=r"master\.key cannot be read now: Input/output error"):
        strongroom.get_secret_or_env("DB", default="d")
    monkeypatch.setattr(os, "read", real)
    assert strongroom.get_secret_or_env("DB", default="d") == "d"
    fallback.reset()


@pytest.mark.parametrize(
    ("file", "content", "code"),
    [
        ("pyproject.toml", "\n" * 2**20, 3),
        ("pyproject.toml", "[tool.x]\n" + "[tool" + " " * 2**19 + "\n" + " \n" * 2**17, 3),
        ("strongroom.toml", "a." * 2**19 + "a = 1", 2),
        ("strongroom.toml", '"a={".' * 2**16 + "a = 1", 2),
        ("strongroom.toml", "b = {" + "a." * 2**17 + "a = 1}", 2),
        ("strongroom.toml", "[" + "a." * 2**15 + "a]\n" + "".join(f"a{number} = 1\n" for number in range(2**15)), 2),
        ("strongroom.toml", "#" * (2**20 + 1), 2),
    ],
    ids=["empty lines", "spaces", "long key", "quoted key", "inline key", "long table", "large"],
)
def test_no_file_of_settings_takes_the_square_of_its_size(clone, file, content, code):
    """Each took minutes."""
    for name in os.listdir():
        os.unlink(name)
    Path(file).write_text(content)
    command = [sys.executable, "-m", "strongroom", "list"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == code, done.stderr[-500:]


@pytest.mark.parametrize(
    "dots", ["description = '" + "." * 500 + "'", "a = [\n" + "1.5,\n" * 500 + "]", "# " + "." * 500]
)
def test_dots_in_texts_numbers_and_comments_are_no_parts_of_a_key(dots):
    assert toml.loads(f"{dots}\n[tool.strongroom]\nb.c = 1\n")["tool"] == {"strongroom": {"b": {"c": 1}}}
