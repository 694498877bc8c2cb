from collections.abc import Callable

import pytest

from strongroom.audit.log import AuditLog
from strongroom.audit_sinks.file import FileSink
from strongroom.audit_sinks.memory import MemorySink

KEYS = {1: b"k" * 32}
STORE = "5" * 32


@pytest.fixture
def sink(tmp_path):
    return FileSink(str(tmp_path / "audit.log"))


@pytest.fixture
def memory():
    return MemorySink()


@pytest.fixture
def start() -> Callable[..., AuditLog]:
    """Start a writer on a sink."""

    def start(sink, keys=KEYS, store=STORE, **more):
        return AuditLog(sink, keys, store=store, actor="alice", service="shop", **more)

    return start


@pytest.fixture
def log(start, sink):
    return start(sink)
