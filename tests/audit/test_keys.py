import pytest

from strongroom.audit.keys import export_keys, import_keys
from strongroom.errors import InvalidKeyError


def test_exported_keys_come_back():
    keys = {1: b"a" * 32, 12: b"b" * 32}
    assert import_keys(export_keys(keys)) == keys


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"strongroom_audit_keys":1,"keys":{}}',
     '{"strongroom_audit_keys":2,"keys":{"1":"' + "aa" * 32 + '"}}',
     '{"strongroom_audit_keys":1,"keys":{"1":"c0ffee"}}', '{"strongroom_audit_keys":1,"keys":{"x":"c0ffee"}}'],
)  # fmt: skip
def test_what_is_no_file_of_keys_is_refused_without_quoting_it(text):
    with pytest.raises(InvalidKeyError) as caught:
        import_keys(text)
    assert "c0ffee" not in str(caught.value)
    assert caught.value.__cause__ is None
