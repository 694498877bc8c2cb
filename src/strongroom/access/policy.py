"""Rules: which actor may do what to which secrets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from strongroom.errors import ConfigError

CAPABILITIES = ("create", "read", "update", "delete", "list")


class Rule(NamedTuple):
    """Actors and names are patterns: `*` is any text, `?` any character."""

    actor: str
    name: str
    capabilities: frozenset[str]


class RulePolicy:
    """Allows what a rule allows, and nothing else."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.rules = tuple(rules)
        self._patterns = [(_literal(rule.actor), _literal(rule.name), rule.capabilities) for rule in self.rules]

    def allows(self, actor: str, capability: str, name: str) -> bool:
        """See `strongroom.protocols.Policy`."""
        return any(
            capability in capabilities and fnmatchcase(actor, actors) and fnmatchcase(name, names)
            for actors, names, capabilities in self._patterns
        )


def _literal(pattern: str) -> str:
    # To fnmatch a bracket begins a set of characters; names may hold brackets, and rules promise `*` and `?` only.
    return pattern.replace("[", "[[]")


def parse(tables: Sequence[Mapping[str, Any]]) -> RulePolicy:
    """Return the policy of `[[policy]]` tables with `actor`, `name` and `capabilities`.

    No table at all allows nothing: who wrote an empty list wanted a policy. Raises `ConfigError`.
    """
    return RulePolicy([_rule(table) for table in tables])


def _rule(table: Mapping[str, Any]) -> Rule:
    if set(table) != {"actor", "name", "capabilities"}:
        raise ConfigError(f"a [[policy]] has exactly actor, name and capabilities, not: {', '.join(sorted(table))}")
    actor, name, capabilities = table["actor"], table["name"], table["capabilities"]
    if not isinstance(actor, str) or not isinstance(name, str) or not isinstance(capabilities, list):
        raise ConfigError("in a [[policy]], actor and name are text and capabilities a list")
    unknown = [word for word in capabilities if word not in CAPABILITIES]
    if unknown:
        raise ConfigError(f"there is no capability {unknown[0]!r}; there are: {', '.join(CAPABILITIES)}")
    return Rule(actor, name, frozenset(capabilities))
