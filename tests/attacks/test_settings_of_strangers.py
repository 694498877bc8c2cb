"""Settings, stores and keys that another user of the machine has put where they are found."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from strongroom import generate_master_key

from .conftest import STRANGER, VICTIM, as_user, python_as, strongroom_as, two_users

pytestmark = two_users
ASK = "import strongroom; print(strongroom.get_secret_or_env('DB', default='the default'))"
VALUE = "value-of-the-stranger"


@pytest.fixture
def inner(shared) -> Path:
    """A directory of the victim's in one where anybody can write, as `mkdir /tmp/first-steps` makes it."""
    path = shared / "first-steps"
    path.mkdir(0o755)
    os.chown(path, VICTIM, VICTIM)
    return path


def plant(directory: Path, kind: str) -> None:
    """Put a store of the stranger's there, with a key that the victim could read, and what makes it be found."""
    key, store = directory / "key", directory / "secrets.db"
    where = ("--store", f"sqlite:{store}", "--key", f"file:{key}", "--audit", f"file:{directory}/stranger.log")
    assert strongroom_as(STRANGER, "keygen", "-o", str(key), cwd=directory).returncode == 0
    assert strongroom_as(STRANGER, *where, "init", cwd=directory).returncode == 0
    assert strongroom_as(STRANGER, *where, "set", "DB", cwd=directory, stdin=VALUE).returncode == 0
    for path in directory.iterdir():
        if path.stat().st_uid == STRANGER:
            path.chmod(0o666)
    settings = f'store = "sqlite:{store}"\nkey = "passphrase:/proc/self/personality"\naudit = "memory:"\n'
    if kind == "strongroom.toml":
        (directory / kind).write_text(settings)
    elif kind == "pyproject.toml":
        (directory / kind).write_text(f"[tool.strongroom]\n{settings}")
    elif kind == "a link":
        (directory / "elsewhere.toml").write_text(settings)
        (directory / "strongroom.toml").symlink_to("elsewhere.toml")
    else:
        return
    os.chown(directory / ("strongroom.toml" if kind == "a link" else kind), STRANGER, STRANGER, follow_symlinks=False)


@pytest.mark.parametrize("kind", ["strongroom.toml", "pyproject.toml", "a link", "secrets.db"])
@pytest.mark.parametrize("where", ["beside", "above"])
def test_what_a_stranger_puts_where_anybody_can_is_passed_over(shared, inner, kind, where):
    plant(shared, kind)
    cwd = shared if where == "beside" else inner
    assert strongroom_as(VICTIM, "get", "DB", cwd=cwd).returncode == 3, "there is no store"
    asked = python_as(VICTIM, "-c", ASK, cwd=cwd, environ={"DB": "from the environment"})
    assert asked.stdout == "from the environment\n"
    assert (kind == "pyproject.toml") or "is passed over" in asked.stderr
    before = (shared / "secrets.db").read_bytes()
    assert strongroom_as(VICTIM, "set", "DB", cwd=cwd, stdin="value-of-the-victim").returncode == 3
    assert (shared / "secrets.db").read_bytes() == before
    ran = strongroom_as(VICTIM, "run", "--", "sh", "-c", "echo $DB", cwd=cwd)
    assert VALUE not in ran.stdout


def test_in_a_directory_of_the_strangers_own_he_is_named_and_nothing_is_used(shared):
    theirs = shared / "project"
    theirs.mkdir(0o755)
    os.chown(theirs, STRANGER, STRANGER)
    plant(theirs, "strongroom.toml")
    (theirs / "sub").mkdir(0o755)
    os.chown(theirs / "sub", VICTIM, VICTIM)
    for cwd in (theirs, theirs / "sub"):
        done = strongroom_as(VICTIM, "get", "DB", cwd=cwd)
        assert (done.returncode, done.stdout) == (2, "")
        assert "was found, not named" in done.stderr
        assert python_as(VICTIM, "-c", ASK, cwd=cwd).stdout == "", "no quiet fallback either"


def project_of(owner: int, directory: Path, key: str) -> dict[str, str]:
    """Make a store with a secret in the directory, and return the environment that opens it."""
    environ = {"SECRETS_MASTER_KEY": key}
    where = ("--store", f"sqlite:{directory}/secrets.db", "--audit", f"file:{directory}/logs/secrets_audit.log")
    for words in (["init"], ["set", "DB"]):
        done = strongroom_as(owner, *where, *words, cwd=directory, environ=environ, stdin="value-of-the-victim")
        assert done.returncode == 0, done.stderr
    return environ


@pytest.mark.parametrize("fault", ["sticky above", "group", "everybody", "a link of the stranger's"])
def test_ones_own_project_where_others_can_write_is_an_error_that_says_what_to_do(shared, home, inner, fault):
    path = {"sticky above": inner}.get(fault, home / "project")
    path.mkdir(0o755, exist_ok=True)
    os.chown(path, VICTIM, 4100 if fault == "group" else VICTIM)
    environ = project_of(VICTIM, path, generate_master_key())
    assert (fault == "sticky above") or strongroom_as(VICTIM, "get", "DB", cwd=path, environ=environ).returncode == 0
    path.chmod({"group": 0o775, "everybody": 0o777}.get(fault, 0o755))
    at, words = {
        "sticky above": (shared, "move the project"), "group": (path, f"chmod g-w {path}"),
        "everybody": (path, f"chmod o-w {path}"), "a link of the stranger's": (shared / "link", "move the project"),
    }[fault]  # fmt: skip
    if fault == "a link of the stranger's":
        (shared / "link").symlink_to(path)
        os.chown(shared / "link", STRANGER, STRANGER, follow_symlinks=False)
        ask = f"import strongroom.settings.config; strongroom.settings.config.load(start={str(shared / 'link')!r})"
        done = python_as(VICTIM, "-c", ask, cwd=path, environ=environ)
        at = shared
    else:
        done = strongroom_as(VICTIM, "get", "DB", cwd=path, environ=environ)
        asked = python_as(VICTIM, "-c", ASK, cwd=path, environ=environ | {"DB": "x"})
        assert asked.stdout == "", "no quiet fallback to the environment"
    assert done.returncode != 0
    assert str(at) in done.stderr
    assert words in done.stderr
    named = strongroom_as(VICTIM, "--store", "sqlite:secrets.db", "get", "DB", cwd=path, environ=environ)
    assert named.stdout == "value-of-the-victim\n"


@pytest.mark.parametrize("kind", ["sticky", "below sticky", "group"])
def test_init_makes_nothing_where_others_can_write_and_says_what_to_do(shared, home, inner, kind):
    home.chmod(0o775)
    os.chown(home, VICTIM, 4100)
    cwd = {"sticky": shared, "below sticky": inner, "group": home}[kind]
    done = strongroom_as(VICTIM, "init", "--generate-key", cwd=cwd)
    assert done.returncode == 2
    assert "mkdir ~/secrets && cd ~/secrets" in done.stderr
    assert [path.name for path in cwd.iterdir() if path.name in ("secrets.db", "master.key", "logs")] == []


def test_a_group_that_has_one_member_is_no_stranger(home):
    """Where each user has a group of their own, files are made with umask 002."""
    ask = (
        "import grp, os, pwd\n"
        f"me = pwd.struct_passwd(('victim', 'x', {VICTIM}, {VICTIM}, '', '/', '/bin/sh'))\n"
        "pwd.getpwuid, pwd.getpwall = (lambda uid: me), (lambda: [me, *others])\n"
        f"others = [pwd.struct_passwd(('other', 'x', {STRANGER}, PRIMARY, '', '/', '/bin/sh'))]\n"
        "pwd.getpwnam = lambda name: {'victim': me, 'other': others[0]}[name]\n"
        f"grp.getgrgid = lambda gid: grp.struct_group(('victim', 'x', {VICTIM}, MEMBERS))\n"
        "from strongroom.settings import trust\n"
        "print(trust.fault(os.getcwd()))\n"
    )
    home.chmod(0o775)
    for primary, members, expected in (
        (STRANGER, [], "None"),
        (STRANGER, ["victim"], "None"),
        (VICTIM, [], "a group"),
        (STRANGER, ["victim", "other"], "a group"),
        (STRANGER, ["other"], "a group"),
    ):
        code = ask.replace("PRIMARY", str(primary)).replace("MEMBERS", repr(members))
        done = python_as(VICTIM, "-c", code, cwd=home)
        assert expected in done.stdout, (primary, members, done)
    # An access control list: the group bits are its mask, and say nothing of the group.
    entries = ((1, 7, -1), (2, 7, STRANGER), (4, 5, -1), (16, 7, -1), (32, 5, -1))
    raw = b"\x02\0\0\0" + b"".join(
        tag.to_bytes(2, "little") + may.to_bytes(2, "little") + (who % 2**32).to_bytes(4, "little")
        for tag, may, who in entries
    )
    try:
        os.setxattr(home, "system.posix_acl_access", raw)
    except OSError:
        pytest.skip("no access control lists here")
    code = ask.replace("PRIMARY", str(STRANGER)).replace("MEMBERS", "[]")
    assert "can be written by a group" in python_as(VICTIM, "-c", code, cwd=home).stdout


def test_a_key_that_is_found_must_be_out_of_reach_of_others(home):
    key = generate_master_key()
    environ = project_of(VICTIM, home, key)
    as_user(VICTIM, lambda: (home / "master.key").write_text(key))
    (home / "master.key").chmod(0o600)
    home.chmod(0o777)
    del environ["SECRETS_MASTER_KEY"]
    done = strongroom_as(VICTIM, "--store", "sqlite:secrets.db", "get", "DB", cwd=home, environ=environ)
    assert done.returncode == 2
    assert "--key or STRONGROOM_KEY" in done.stderr


@pytest.mark.parametrize("name", ["master.key", "strongroom.toml"])
def test_what_root_has_put_out_of_reach_is_trusted_whole(home, name):
    """As in the image of a container, or below /etc."""
    key = generate_master_key()
    data = home / "data"
    data.mkdir(0o700)
    os.chown(data, VICTIM, VICTIM)
    environ = project_of(VICTIM, data, key)
    app = home / "app"
    app.mkdir(0o755)
    os.chown(home, 0, 0)
    (app / "master.key").write_text(key)
    (app / "master.key").chmod(0o600)
    os.chown(app / "master.key", VICTIM, VICTIM)
    (app / "strongroom.toml").write_text(
        f'store = "sqlite:{data}/secrets.db"\naudit = "file:{data}/logs/secrets_audit.log"\naudit_keep = 2\n'
        + ('key = "file:master.key"\n' if name == "strongroom.toml" else "")
    )
    del environ["SECRETS_MASTER_KEY"]
    done = strongroom_as(VICTIM, "get", "DB", cwd=app, environ=environ)
    assert (done.returncode, done.stdout) == (0, "value-of-the-victim\n"), done.stderr
    # In a directory of the victim's it is no more than anybody's.
    os.chown(app, VICTIM, VICTIM)
    done = strongroom_as(VICTIM, "get", "DB", cwd=app, environ=environ)
    assert done.returncode == 2
    assert "needs your permission" in done.stderr


@pytest.mark.parametrize("kind", ["owner", "directory", "group"])
def test_permissions_that_others_could_write_are_not_believed(home, kind):
    project, state = home / "project", home / "state"
    for path in (project, state):
        path.mkdir(0o755)
        os.chown(path, VICTIM, VICTIM)
    environ = project_of(VICTIM, project, generate_master_key()) | {"XDG_STATE_HOME": str(state)}
    (project / "strongroom.toml").write_text("audit_keep = 1\n")
    os.chown(project / "strongroom.toml", VICTIM, VICTIM)
    assert strongroom_as(VICTIM, "get", "DB", cwd=project, environ=environ).returncode == 2
    assert strongroom_as(VICTIM, "allow", cwd=project, environ=environ).returncode == 0
    assert strongroom_as(VICTIM, "get", "DB", cwd=project, environ=environ).returncode == 0
    entry = next((state / "strongroom" / "allowed").iterdir())
    assert (entry.stat().st_mode & 0o777, entry.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    if kind == "owner":
        os.chown(entry, STRANGER, STRANGER)
    else:
        os.chown(entry.parent, VICTIM, 4100)
        entry.parent.chmod(0o777 if kind == "directory" else 0o770)
    done = strongroom_as(VICTIM, "get", "DB", cwd=project, environ=environ)
    assert done.returncode == 2
    assert "is not believed" in done.stderr


def test_who_names_the_settings_names_the_store_beside_them(home):
    """A directory that a group shares is named once, and not again for each file in it."""
    os.chown(home, VICTIM, 4100)
    environ = {"SECRETS_MASTER_KEY": generate_master_key()}
    assert strongroom_as(VICTIM, "init", cwd=home, environ=environ).returncode == 0
    assert strongroom_as(VICTIM, "set", "DB", cwd=home, environ=environ, stdin="mine").returncode == 0
    home.chmod(0o770)
    assert "was found, not named" in strongroom_as(VICTIM, "get", "DB", cwd=home, environ=environ).stderr
    environ["STRONGROOM_CONFIG"] = str(home / "strongroom.toml")
    assert strongroom_as(VICTIM, "get", "DB", cwd=home, environ=environ).stdout == "mine\n"
    home.chmod(0o1770)
    assert "--store" in strongroom_as(VICTIM, "get", "DB", cwd=home, environ=environ).stderr, "others can add a store"


def test_root_is_told_to_run_as_the_user_whose_project_it_is(home):
    assert strongroom_as(VICTIM, "init", "-y", cwd=home).returncode == 0
    told = strongroom_as(None, "list", cwd=home).stderr
    assert f"setpriv --reuid={VICTIM} --regid={VICTIM} --clear-groups strongroom" in told
    named = strongroom_as(None, "--config", "strongroom.toml", "--key", "file:master.key", "list", cwd=home)
    assert f"run this as that user: `setpriv --reuid={VICTIM}" in named.stderr
