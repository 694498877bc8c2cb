from strongroom.audit_sinks.memory import MemorySink, connect
from strongroom.testing.audit_sinks import AuditSinkSuite


class TestMemorySink(AuditSinkSuite):
    def make(self, tmp_path):
        return MemorySink()


def test_connect_returns_an_empty_log():
    assert connect("", sync="fsync").texts == []
