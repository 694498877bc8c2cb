import pytest

from strongroom.access.policy import CAPABILITIES, Rule, RulePolicy, parse
from strongroom.errors import ConfigError

TABLE = {"actor": "ci-*", "name": "shop/*", "capabilities": ["read", "list"]}


@pytest.mark.parametrize(
    ("actor", "capability", "name", "allowed"),
    [
        ("ci-1", "read", "shop/db", True),
        ("ci-1", "read", "shop/db/password", True),
        ("ci-1", "list", "shop/", True),
        ("ci-1", "update", "shop/db", False),
        ("CI-1", "read", "shop/db", False),
        ("ci-1", "read", "Shop/db", False),
        ("alice", "read", "shop/db", False),
        ("ci-1", "read", "shop", False),
        ("ci-1", "list", "", False),
        ("xci-1", "read", "shop/db", False),
        ("ci-1", "read", "x/shop/db", False),
    ],
)
def test_a_rule_allows_what_it_says_and_nothing_else(actor, capability, name, allowed):
    assert parse([TABLE]).allows(actor, capability, name) is allowed


def test_one_of_several_rules_is_enough_but_they_do_not_mix():
    policy = parse([TABLE, {"actor": "alice", "name": "*", "capabilities": ["update"]}])
    assert policy.allows("alice", "update", "anything/at/all")
    assert not policy.allows("alice", "read", "shop/db")


def test_a_question_mark_is_one_character():
    policy = RulePolicy([Rule("a", "db?", frozenset(["read"]))])
    assert policy.allows("a", "read", "db1")
    assert not policy.allows("a", "read", "db")
    assert not policy.allows("a", "read", "db12")


def test_a_bracket_is_a_bracket():
    policy = RulePolicy([Rule("team[1]", "key[ab]", frozenset(["read"]))])
    assert policy.allows("team[1]", "read", "key[ab]")
    assert not policy.allows("team1", "read", "key[ab]")
    assert not policy.allows("team[1]", "read", "keya")


def test_a_policy_without_rules_denies_everything():
    assert not RulePolicy([]).allows("root", "read", "a")


def test_without_tables_there_is_no_policy():
    assert not parse([]).allows("alice", "read", "A")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"extra": 1}, "exactly actor, name and capabilities"),
        ({"actor": None}, "text"),
        ({"name": 5}, "text"),
        ({"capabilities": "read"}, "a list"),
        ({"capabilities": ["read", "fly"]}, "no capability 'fly'"),
        ({"capabilities": [1]}, "no capability 1"),
        ({"capabilities": [["read"]]}, "no capability"),
    ],
)
def test_a_bad_table_is_refused(change, problem):
    with pytest.raises(ConfigError, match=problem):
        parse([TABLE | change])


def test_a_table_without_a_part_is_refused():
    for part in TABLE:
        with pytest.raises(ConfigError, match="exactly"):
            parse([{key: value for key, value in TABLE.items() if key != part}])


def test_all_capabilities_can_be_given():
    parse([TABLE | {"capabilities": list(CAPABILITIES)}])
