"""YAML: one mapping of each name to a text, or to a mapping of fields. Read and written with PyYAML.

Unquoted scalars are taken as they are written: `0123`, `1_000`, `yes` and `2024-01-01` are texts, where YAML 1.1
would make another value of them. Inside a mapping of fields, what JSON too calls a number or a boolean is one. null,
a list, a name or field given twice, tags, aliases (which can grow without limit) and merge keys are refused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from strongroom.errors import InvalidValueError, MissingExtraError
from strongroom.exchange.mapping import Value, accept, writable

try:
    import yaml
except ImportError:
    raise MissingExtraError("YAML needs PyYAML: pip install 'strongroom[yaml]'") from None

_TAG = "tag:yaml.org,2002:"
_NULL = _TAG + "null"
_TYPED = {_TAG + kind for kind in ("int", "float", "bool")}
_SCALARS = _TYPED | {_TAG + kind for kind in ("str", "null", "timestamp", "value")}


class _Loader(yaml.SafeLoader):
    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.events.AliasEvent):
            raise _error(self.current_event, "aliases (*name) are not read; write out what it stands for")
        return super().compose_node(parent, index)


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: object) -> bool:
        return True


def parse(text: str) -> dict[str, Value]:
    """Return the secrets of a document; raises `InvalidValueError` and `InvalidNameError`."""
    node = _compose(text)
    if node is None:
        return {}
    if not isinstance(node, yaml.MappingNode):
        raise _error(node, "this is not a mapping of names and values")
    return accept({name: _secret(value) for name, value in _items(node).items()})


def render(secrets: Mapping[str, Value]) -> str:
    """Return a document in block style, all ASCII; raises `InvalidValueError` and `InvalidNameError`."""
    document = writable(secrets, "yaml")
    return yaml.dump(document, Dumper=_Dumper, default_flow_style=False, sort_keys=False, width=1 << 30)


def _compose(text: str) -> yaml.Node | None:
    line = 0
    try:
        loader = _Loader(text)
        return loader.get_single_node()
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
    except (yaml.YAMLError, ValueError, RecursionError):
        pass
    # Raised outside the handler: PyYAML's message quotes the document.
    raise InvalidValueError(f"{f'line {line}: ' if line else ''}this is not one YAML document that can be read")


def _items(node: yaml.MappingNode) -> dict[str, yaml.Node]:
    found: dict[str, yaml.Node] = {}
    lines: dict[str, int] = {}
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode) or key.tag not in _SCALARS:
            raise _error(key, "a name is a text; here is a list, a mapping, a tag or a merge key")
        if key.value in found:
            raise _error(key, f"{key.value!r} was already given in line {lines[key.value]}; keep one of the two")
        lines[key.value] = key.start_mark.line + 1
        found[key.value] = value
    return found


def _secret(node: yaml.Node) -> Any:
    if isinstance(node, yaml.ScalarNode) and node.tag in _TYPED:
        return node.value
    return _field(node)


def _field(node: yaml.Node) -> Any:
    if isinstance(node, yaml.MappingNode) and node.tag == _TAG + "map":
        return {name: _field(value) for name, value in _items(node).items()}
    if isinstance(node, yaml.SequenceNode) and node.tag == _TAG + "seq":
        return [_field(value) for value in node.value]
    if not isinstance(node, yaml.ScalarNode) or node.tag not in _SCALARS:
        raise _error(node, "tags (!name) are not read; write the value itself, in quotes")
    if node.tag == _NULL:
        return None
    return _typed(node.value) if node.tag in _TYPED else node.value


def _typed(written: str) -> Any:
    """Return the number or boolean where YAML and JSON agree that this is one."""
    try:
        return json.loads(written)
    except ValueError:
        return written


def _error(place: Any, problem: str) -> InvalidValueError:
    return InvalidValueError(f"line {place.start_mark.line + 1}: {problem}")
