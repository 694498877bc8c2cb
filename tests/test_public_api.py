"""The names and signatures that callers depend on: a change here is a change for them."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path

import pytest

import strongroom
from strongroom import SecretsManager

NAMES = [
    "AuditError",
    "AuditReport",
    "Caller",
    "ConfigError",
    "ConflictError",
    "Custody",
    "DeniedError",
    "EncryptionReport",
    "InvalidInputError",
    "InvalidKeyError",
    "InvalidNameError",
    "InvalidValueError",
    "KeyProviderError",
    "LiveSecret",
    "MissingExtraError",
    "NewerFormatError",
    "NoKeyError",
    "NotFoundError",
    "OpenedStore",
    "Reading",
    "RollbackError",
    "Rotation",
    "RotationError",
    "RotationStatus",
    "Secret",
    "SecretInfo",
    "SecretNotFoundError",
    "SecretsManager",
    "SourceRefusedError",
    "StoreBusyError",
    "StoreError",
    "StoreExistsError",
    "StoreGoneError",
    "StoreNotFoundError",
    "StoreReport",
    "StrongroomError",
    "StrongroomWarning",
    "TamperedError",
    "UnknownKeyIdError",
    "VersionInfo",
    "VersionNotFoundError",
    "WrongKeyError",
    "WrongStoreError",
    "generate_master_key",
    "get_secret_or_env",
    "init",
    "open",
]

METHODS = {
    "caller": "property",
    "store_id": "property",
    "bind": "(self, caller: 'str | Caller', policy: 'Policy | None' = None) -> 'SecretsManager'",
    "get_secret": ("(self, name: 'str', default: 'Any' = None, *, version: 'int | None' = None) -> 'Any'"),
    "require_secret": "(self, name: 'str', *, version: 'int | None' = None) -> 'str'",
    "get_bytes": "(self, name: 'str', default: 'Any' = None, *, version: 'int | None' = None) -> 'Any'",
    "get_field": ("(self, name: 'str', field: 'str', default: 'Any' = None, *, version: 'int | None' = None) -> 'Any'"),
    "read_secret": "(self, name: 'str', *, version: 'int | None' = None) -> 'Reading'",
    "get_data": "(self, name: 'str', *, version: 'int | None' = None) -> 'dict[str, Any] | None'",
    "list_secrets": "(self, prefix: 'str' = '') -> 'list[str]'",
    "metadata": "(self, name: 'str') -> 'SecretInfo | None'",
    "history": "(self, name: 'str') -> 'list[VersionInfo]'",
    "get_audit_logs": (
        "(self, limit: 'int | None' = 100, *, name: 'str | None' = None, action: 'str | None' = None, "
        "outcome: 'str | None' = None, actor: 'str | None' = None, since: 'datetime | float | str | None' = "
        "None) -> 'list[dict[str, Any]]'"
    ),
    "verify_encryption": "(self, name: 'str') -> 'EncryptionReport'",
    "verify": "(self, progress: 'Progress | None' = None) -> 'StoreReport'",
    "accept": "(self) -> 'int'",
    "verify_audit": "(self, progress: 'Callable[[int], None] | None' = None) -> 'AuditReport'",
    "custody": "property",
    "rotation": "property",
    "set_secret": (
        "(self, name: 'str', value: 'Value | Data', cas: 'int | None' = None, *, expires_in: 'float | None' "
        "= None, custom: 'Mapping[str, str] | None' = None, max_versions: 'int | None' = None) -> "
        "'VersionInfo'"
    ),
    "set_secrets": (
        "(self, secrets: 'Mapping[str, Value | Data]', *, overwrite: 'bool' = True) -> 'dict[str, VersionInfo]'"
    ),
    "secret": "(self, name: 'str') -> 'LiveSecret'",
    "has_rotation": "(self, name: 'str') -> 'bool'",
    "has_history": "(self, name: 'str') -> 'bool'",
    "commit_mark": "(self) -> 'object'",
    "rotate_secret": (
        "(self, name: 'str', new_value: 'Value | Data | None' = None, cas: 'int | None' = None) -> 'VersionInfo'"
    ),
    "rollback": "(self, name: 'str', version: 'int', cas: 'int | None' = None) -> 'VersionInfo'",
    "describe_secret": (
        "(self, name: 'str', *, custom: 'Mapping[str, str] | None' = None, max_versions: 'int | None' = "
        "None) -> 'SecretInfo'"
    ),
    "delete_secret": "(self, name: 'str', numbers: 'Sequence[int] | None' = None) -> 'bool'",
    "undelete_secret": "(self, name: 'str', numbers: 'Sequence[int] | None' = None) -> 'bool'",
    "destroy_secret": (
        "(self, name: 'str', numbers: 'Sequence[int] | None' = None, *, with_history: 'bool' = False) -> 'bool'"
    ),
}

FUNCTIONS = {
    "generate_master_key": "() -> 'str'",
    "get_secret_or_env": (
        "(name: 'str', env_var: 'str | None' = None, default: 'Any' = None, *, field: 'str | None' = None) -> 'Any'"
    ),
    "init": (
        "(store: 'str | None' = None, key: 'str | KeyProvider | None' = None, audit: 'str | AuditSink | "
        "None' = None, *, algorithm: 'str | None' = None, source: 'str' = 'library', settings: 'Config | "
        "None' = None, **more: 'Any') -> 'OpenedStore'"
    ),
    "open": (
        "(store: 'str | Store | None' = None, key: 'str | KeyProvider | None' = None, audit: 'str | "
        "AuditSink | None' = None, *, actor: 'str | None' = None, service: 'str | None' = None, source: "
        "'str' = 'library', settings: 'Config | None' = None, on_rotation_event: 'Observer | None' = None, **more: "
        "'Any') -> 'OpenedStore'"
    ),
}

FIELDS = {
    "VersionInfo": ("version", "created", "deleted", "destroyed", "expires"),
    "SecretInfo": ("name", "current", "versions", "custom", "max_versions"),
}


def test_the_names_are_these():
    assert sorted(strongroom.__all__) == sorted(NAMES)
    assert strongroom.__all__ == sorted(strongroom.__all__)


@pytest.mark.parametrize("name", NAMES)
def test_every_name_resolves_and_is_documented(name):
    assert getattr(strongroom, name).__doc__


def test_every_error_is_public():
    from strongroom import errors

    assert {name for name in vars(errors) if name.endswith("Error")} <= set(NAMES)


def public_members():
    return {name: member for name, member in vars(SecretsManager).items() if not name.startswith("_")}


def test_the_manager_has_these_methods_with_these_signatures():
    signatures = {
        name: str(inspect.signature(member)) if callable(member) else "property"
        for name, member in public_members().items()
    }
    assert signatures == METHODS


@pytest.mark.parametrize("name", METHODS)
def test_every_method_is_documented(name):
    assert public_members()[name].__doc__


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_functions_have_these_signatures(name):
    assert str(inspect.signature(getattr(strongroom, name))) == FUNCTIONS[name]


@pytest.mark.parametrize("name", FIELDS)
def test_the_records_have_these_fields(name):
    assert getattr(strongroom, name)._fields == FIELDS[name]


def test_the_version_is_one():
    assert [part.isdigit() for part in strongroom.__version__.split(".")] == [True] * 3


ROOT = Path(__file__).parents[1]
PUBLIC = ("strongroom", "strongroom.aio", "strongroom.errors", "strongroom.protocols", "strongroom.testing",
          "strongroom.integrations")  # fmt: skip
USERS = [ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "examples").rglob("*.py")]


def is_public(module: str) -> bool:
    return module in PUBLIC or (
        module.startswith(("strongroom.testing.", "strongroom.integrations.")) and "._" not in module
    )


def test_the_design_names_the_public_modules():
    page = (ROOT / "docs" / "design.md").read_text()
    sentence = page.split("What may be imported by others is", 1)[1].split(". Everything", 1)[0]
    assert {name.removesuffix(".*") for name in re.findall(r"`([\w.*]+)`", sentence)} == set(PUBLIC)


def imported(code: str) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names if node.module == "strongroom.integrations"}
            found |= {node.module} - {"strongroom.integrations"}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return {module for module in found if module.split(".")[0] == "strongroom"}


@pytest.mark.parametrize("path", USERS, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_users_copy_imports_public_modules(path):
    text = path.read_text()
    blocks = [text] if path.suffix == ".py" else re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert {module for block in blocks for module in imported(block) if not is_public(module)} == set()
