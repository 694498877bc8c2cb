import os

import pytest

import strongroom
from strongroom.errors import ConfigError
from strongroom.key_providers.file import create
from strongroom.settings import config
from strongroom.settings.config import Config, load
from strongroom.system.warning import StrongroomWarning


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(project, text, name="strongroom.toml"):
    (project / name).write_text(text)


def test_without_anything_there_are_defaults(project):
    assert load({}) == Config(directory=str(project))
    assert load({}).chosen == frozenset()


def test_arguments_override_variables_which_override_the_file(project):
    write(project, 'actor = "file"\nservice = "file"\nmax_versions = 3')
    environ = {"STRONGROOM_ACTOR": "variable", "STRONGROOM_SERVICE": "variable"}
    found = load(environ, actor="argument")
    assert (found.actor, found.service, found.max_versions) == ("argument", "variable", 3)
    assert found.chosen == {"actor", "service", "max_versions"}


def test_an_argument_of_none_and_an_empty_variable_are_not_given(project):
    write(project, 'actor = "file"')
    assert load({"STRONGROOM_ACTOR": ""}, actor=None).actor == "file"


def test_the_nearest_file_upwards_counts(project):
    write(project, 'actor = "outer"')
    inner = project / "a" / "b"
    inner.mkdir(parents=True)
    assert load({}, str(inner)).actor == "outer"
    write(project / "a", 'actor = "inner"')
    found = load({}, str(inner))
    assert (found.actor, found.directory) == ("inner", str(project / "a"))


def test_a_table_in_pyproject_is_a_file_of_settings(project):
    write(project, '[project]\nname = "x"\n[tool.strongroom]\nactor = "x"\n', "pyproject.toml")
    assert load({}).actor == "x"
    write(project, 'actor = "own file"')
    assert load({}).actor == "own file"


@pytest.mark.parametrize("header", ["[tool.strongroom]", "[ tool . strongroom ]", "  [tool.strongroom]"])
def test_the_table_is_found_however_it_is_spaced(project, header):
    write(project, f'{header}\nactor = "x"\n', "pyproject.toml")
    assert load({}).actor == "x"


@pytest.mark.parametrize(
    "text", ["", "[tool.other]\n", "[tool.strongroom-other]\nactor = 'x'\n", "# [tool.strongroom] is for later\n"]
)
def test_a_pyproject_without_the_table_is_passed_over(project, text):
    write(project, 'actor = "outer"')
    (project / "inner").mkdir()
    write(project / "inner", text, "pyproject.toml")
    assert load({}, str(project / "inner")).actor == "outer"


def test_a_policy_in_pyproject_is_found_by_its_own_table(project):
    rule = 'actor = "a"\nname = "*"\ncapabilities = ["read"]\n'
    write(project, f"[[tool.strongroom.access.policy]]\n{rule}", "pyproject.toml")
    assert load({}).policy == ({"actor": "a", "name": "*", "capabilities": ["read"]},)


def test_several_tables_are_refused(project):
    write(project, "[[tool.strongroom]]\n", "pyproject.toml")
    with pytest.raises(ConfigError, match="one table"):
        load({})


def test_the_header_within_a_text_is_no_table(project):
    write(project, 'a = """\n[tool.strongroom]\n"""\n', "pyproject.toml")
    assert load({}).chosen == frozenset()


def test_paths_in_a_file_start_from_it(project, monkeypatch):
    write(project, 'store = "sqlite:shared/s.db"\nkey = "file:master.key"\naudit = "logs/a.log"')
    monkeypatch.chdir("/")
    found = load({}, str(project))
    assert found.store == f"sqlite:{project}/shared/s.db"
    assert found.key == f"file:{project}/master.key"
    assert found.audit == f"{project}/logs/a.log"


@pytest.mark.parametrize(
    "url", ["sqlite:/var/lib/s.db", "/var/lib/s.db", "memory:", "env:KEY", "passphrase:", "postgresql://host/db"]
)
def test_what_is_absolute_or_no_path_stays(project, url):
    write(project, f'store = "{url}"')
    assert load({}, config="strongroom.toml").store == url


def test_paths_elsewhere_start_from_the_working_directory(project):
    write(project, "")
    assert load({"STRONGROOM_STORE": "sqlite:s.db"}).store == "sqlite:s.db"
    assert load({}, store="sqlite:s.db").store == "sqlite:s.db"


@pytest.mark.parametrize(
    ("name", "url"), [("secrets.db", "sqlite:../secrets.db"), ("secrets.enc", "file:../secrets.enc")]
)
def test_the_default_store_is_found_upwards(project, monkeypatch, name, url):
    (project / name).touch()
    (project / "inner").mkdir()
    monkeypatch.chdir(project / "inner")
    found = load({})
    assert found.store == url
    assert found.audit == "file:../logs/secrets_audit.log"
    assert "store" not in found.chosen


def test_a_key_beside_the_store_is_taken_unless_the_variable_is_set(project):
    create("master.key", strongroom.generate_master_key())
    assert load({}).key == "file:master.key"
    assert load({"SECRETS_MASTER_KEY": "x"}).key == "env:SECRETS_MASTER_KEY"
    assert load({"STRONGROOM_KEY": "env:OTHER"}).key == "env:OTHER"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('colour = "red"', r"strongroom\.toml: there is no setting 'colour'; there are: store, key"),
        ('chosen = ["store"]', "no setting 'chosen'"),
        ('directory = "/"', "no setting 'directory'"),
        ("store = 5", "store must be text"),
        ('max_versions = "3"', "max_versions must be a whole number"),
        ("max_versions = 3.0", "max_versions must be a whole number"),
        ("max_versions = true", "max_versions must be a whole number"),
        ("max_versions = 0", "from 1 to 10,000"),
        ("max_versions = 10001", "from 1 to 10,000"),
        ("audit_max_bytes = -1", "audit_max_bytes is -1; give 0 or more"),
        (f"audit_max_bytes = {10**18}", "of at most 18 digits"),
        (f"audit_max_bytes = {'9' * 5000}", "is not TOML"),
        (f"actor = {'[' * 5000}", "is not TOML"),
        ('store = "sqlite:a\\u0000b"', "store has a NUL"),
        ('key = "passphrase:\\u0000"', "key has a NUL"),
        ("audit_keep = -1", "audit_keep is -1; give 0 or more"),
        ('sync = "sometimes"', "sync is 'sometimes'; use one of: write, fsync"),
        ('on_error = "ignore"', "use one of: raise, fallback"),
        ('on_rollback = "ignore"', "use one of: refuse, warn"),
        ("policy = 5", r"\[\[policy\]\]"),
        ("policy = [5]", r"\[\[policy\]\]"),
        ("store = ", "is not TOML"),
        ("[policy]\nactor = 'a'", r"\[\[policy\]\]"),
    ],
)
def test_a_bad_setting_in_a_file_is_refused_by_name(project, text, problem):
    write(project, text)
    with pytest.raises(ConfigError, match=problem):
        load({})


def test_a_file_that_is_no_text_is_refused(project):
    (project / "strongroom.toml").write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="is not TOML"):
        load({})


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
@pytest.mark.parametrize("name", ["strongroom.toml", "pyproject.toml"])
def test_a_file_that_cannot_be_read_is_refused(project, name):
    write(project, "", name)
    (project / name).chmod(0)
    with pytest.raises(ConfigError, match="cannot be read: Permission denied"):
        load({})


@pytest.mark.parametrize("name", ["strongroom.toml", "pyproject.toml"])
def test_a_link_to_a_file_that_is_gone_is_refused(project, name):
    (project / name).symlink_to("gone.toml")
    with pytest.raises(ConfigError, match="is a link to a file that is not there"):
        load({})


@pytest.mark.parametrize("text", ["x", "-1", "1.5", " 3", "٣", "9" * 5000])
def test_a_bad_number_in_a_variable_is_refused_by_name(text):
    with pytest.raises(ConfigError, match=r"STRONGROOM_MAX_VERSIONS is .*give a whole number"):
        load({"STRONGROOM_MAX_VERSIONS": text})


def test_numbers_and_words_are_read_from_variables():
    found = load({"STRONGROOM_AUDIT_KEEP": "4", "STRONGROOM_SYNC": "fsync"})
    assert (found.audit_keep, found.sync) == (4, "fsync")


@pytest.mark.parametrize(
    ("argument", "problem"),
    [({"colour": 1}, "argument: there is no setting 'colour'"), ({"chosen": 1}, "no setting"), ({"sync": 1}, "text")],
)
def test_a_bad_argument_is_refused(argument, problem):
    with pytest.raises(ConfigError, match=problem):
        load({}, **argument)


def test_every_setting_but_the_policy_has_a_variable(project):
    texts = {"sync": "fsync", "on_rollback": "warn", "on_error": "fallback", "store_id": "a" * 32}
    for name in set(config._NAMES) - {"policy"}:
        text = texts.get(name, "7")
        assert str(getattr(load({f"STRONGROOM_{name.upper()}": text}), name)) == text


# A file of settings that is named


@pytest.mark.parametrize("how", ["argument", "variable"])
def test_a_file_that_is_named_counts_and_no_other(project, how):
    (project / "elsewhere").mkdir()
    write(project, 'actor = "found"\nservice = "found"')
    write(project / "elsewhere", 'actor = "named"\nstore = "sqlite:s.db"\naudit = "memory:"', "any.toml")
    path = "elsewhere/any.toml"
    found = load({}, config=path) if how == "argument" else load({"STRONGROOM_CONFIG": path})
    assert (found.actor, found.service, found.audit) == ("named", "", "memory:")
    assert (found.store, found.directory) == (f"sqlite:{project}/elsewhere/s.db", f"{project}/elsewhere")


def test_a_pyproject_that_is_named_is_read_by_its_table(project):
    write(project, '[tool.strongroom]\nactor = "x"\n', "pyproject.toml")
    assert load({}, config="pyproject.toml").actor == "x"


@pytest.mark.parametrize(
    ("name", "problem"),
    [("gone.toml", "No such file"), (".", "not a regular file"), ("pipe", "not a regular file"), ("large", "bytes")],
)
def test_a_named_file_that_is_none_is_refused(project, name, problem):
    os.mkfifo(project / "pipe")
    with (project / "large").open("wb") as file:
        file.truncate(5 * 2**20)
    with pytest.raises(ConfigError, match=f"cannot be read: .*{problem}"):
        load({}, config=name)


def test_an_empty_variable_names_no_file(project):
    write(project, 'actor = "found"')
    assert load({"STRONGROOM_CONFIG": ""}).actor == "found"


# Variables that begin like ours


@pytest.mark.parametrize(
    ("variable", "meant"),
    [
        ("STRONGROOM_STROE", "STORE"), ("STRONGROOM_STORES", "STORE"), ("STRONGROOM_ONERROR", "ON_ERROR"),
        ("STRONGROOM_ON_ROLBACK", "ON_ROLLBACK"), ("STRONGROOM_KEYS", "KEY"), ("STRONGROOM_PASPHRASE", "PASSPHRASE"),
        ("STRONGROOM_CONFG", "CONFIG"), ("STRONGROOM_store", "STORE"), ("STRONGROOM_AUDIT_KEPT", "AUDIT_KEEP"),
    ],
)  # fmt: skip
def test_a_misspelt_variable_is_named_with_the_one_that_is_meant(variable, meant):
    with pytest.raises(ConfigError, match=f"no variable '{variable}' here; is STRONGROOM_{meant} meant"):
        load({variable: "x"})


def test_a_policy_cannot_come_from_a_variable():
    with pytest.raises(ConfigError, match="a policy is written in the file"):
        load({"STRONGROOM_POLICY": "x"})


def test_another_unknown_variable_is_warned_of():
    with pytest.warns(StrongroomWarning, match="'STRONGROOM_DATABASE' is no setting"):
        load({"STRONGROOM_DATABASE": "x"})


@pytest.mark.parametrize(
    "variable",
    ["STRONGROOM_PASSPHRASE", "STRONGROOM_SERVICE_HOST", "STRONGROOM_SERVICE_PORT_HTTP", "STRONGROOM_PORT_80_TCP_ADDR"],
)
def test_what_others_set_is_no_misspelling(variable, recwarn):
    load({variable: "x"})
    assert not recwarn.list


def test_a_variable_that_holds_the_key_is_no_misspelling(recwarn):
    load({"STRONGROOM_KEYS": "x", "STRONGROOM_KEY": "env:STRONGROOM_KEYS"})
    assert not recwarn.list


# Who


@pytest.mark.parametrize("name", ["actor", "service"])
@pytest.mark.parametrize("text", ["$(id)", "`id`", "a\nb", "a\x1b[2J", "a'b", 'a"b', "a;b", "a|b", "x" * 201])
def test_a_name_that_could_act_is_refused(name, text):
    with pytest.raises(ConfigError, match=f"argument: {name} is .*; give at most 200 letters"):
        load({}, **{name: text})


@pytest.mark.parametrize("text", ["älice", "alice@example.com", "CORP\\alice", "system:serviceaccount:a/b", "uid:7"])
def test_usual_names_are_taken(text):
    assert load({}, actor=text).actor == text


def test_a_working_directory_that_is_gone_is_an_error(project, monkeypatch):
    gone = project / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(ConfigError, match="the working directory is gone"):
        load({})
    monkeypatch.chdir(project)


def test_a_name_with_a_nul_names_no_file():
    with pytest.raises(ConfigError, match=r"cannot be read: .*null"):
        load({}, config="a\0b")
