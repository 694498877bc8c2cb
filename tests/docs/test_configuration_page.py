"""The page of the settings has every setting, with its real default."""

from __future__ import annotations

import re
import tomllib

import pytest

from strongroom import drivers
from strongroom.access.policy import CAPABILITIES, parse
from strongroom.key_providers import passphrase
from strongroom.settings import config
from strongroom.settings.config import Config

from .pages import ALL, blocks, rows, text

NOT_SETTINGS = {"chosen", "directory"}


def settings() -> dict[str, list[str]]:
    return {row[0].strip("`"): row for row in rows("docs/configuration.md") if len(row) == 4}


def test_every_setting_is_there_and_no_other():
    assert set(settings()) - {"setting", "---|---|---|---"} == set(Config.__slots__) - NOT_SETTINGS


@pytest.mark.parametrize("name", [name for name in Config.__slots__ if name not in NOT_SETTINGS])
def test_a_setting_has_its_real_default_and_its_variable(name):
    _, default, variable, meaning = settings()[name]
    shown = tomllib.loads(f"x = {default.strip('`')}")["x"]
    assert (tuple(shown) if name == "policy" else shown) == getattr(Config(), name)
    if name == "policy":
        assert variable == "none"
    else:
        text = "7" * 32 if name == "store_id" else "x"
        value = "7" if isinstance(shown, int) else next(filter(None, config._CHOICES.get(name, (text,))))
        assert config.load({variable.strip("`"): value}, "/").chosen == {name}
    for choice in filter(None, config._CHOICES.get(name, ())):
        assert f"`{choice}`" in meaning


@pytest.mark.parametrize("kind", ["STORES", "KEY_PROVIDERS", "AUDIT_SINKS"])
def test_every_driver_is_listed(kind):
    tables = re.split(r"\n\n(?=\| \| \|\n)", text("docs/configuration.md").partition("## Drivers")[2])[1:4]
    table = tables[["STORES", "KEY_PROVIDERS", "AUDIT_SINKS"].index(kind)]
    listed = set(re.findall(r"^\| `([a-z]+):", table, re.MULTILINE))
    assert listed == set(getattr(drivers, kind))


def test_every_capability_is_explained_and_the_example_is_a_policy():
    shown = [row[0].strip("`") for row in rows("docs/configuration.md") if row[0].strip("`") in CAPABILITIES]
    assert shown == list(CAPABILITIES)
    example = next(block for block in blocks("docs/configuration.md") if "[[policy]]" in block.code)
    policy = parse(tomllib.loads(example.code)["policy"])
    assert policy.allows("billing", "read", "billing/token")
    assert not policy.allows("billing", "update", "billing/token")


@pytest.mark.parametrize("page", ALL)
def test_every_toml_block_is_a_file_of_settings(page, tmp_path):
    for block in blocks(page):
        if block.language == "toml":
            path = tmp_path / "strongroom.toml"
            path.write_text(block.code)
            assert config.load({}, config=str(path)).chosen, block.place


@pytest.mark.parametrize("page", ALL)
def test_every_variable_that_a_page_names_is_one(page):
    known = {f"STRONGROOM_{name.upper()}" for name in Config.__slots__ if name not in (*NOT_SETTINGS, "policy")}
    known |= {passphrase.VARIABLE, config.CONFIG_VARIABLE, "STRONGROOM_CAMPAIGN"}
    assert set(re.findall(r"\bSTRONGROOM_[A-Z_]*[A-Z]\b", text(page))) <= known
