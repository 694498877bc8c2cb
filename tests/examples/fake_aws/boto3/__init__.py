"""So much of AWS as a rotation of access keys needs, in the file that FAKE_AWS names.

A user has two keys at most. `faults` of the file makes the call of a name fail: with a code, or ("lost") after it was
done, by the end of the program.
"""

import json
import os
import secrets

from botocore.exceptions import ClientError


def client(service, aws_access_key_id=None, aws_secret_access_key=None):
    return {"iam": Iam, "sts": Sts}[service](aws_access_key_id, aws_secret_access_key)


class Client:
    def __init__(self, key_id, secret):
        self._key = key_id, secret

    def __getattr__(self, name):
        def call(**arguments):
            with open(os.environ["FAKE_AWS"]) as file:
                state = json.load(file)
            state["calls"].append(name)
            fault = state["faults"].pop(name, None)
            answer = None
            if fault in (None, "lost"):
                answer = getattr(self, "do_" + name)(state, **arguments)
            with open(os.environ["FAKE_AWS"], "w") as file:
                json.dump(state, file)
            if fault == "lost":
                os.kill(os.getpid(), 9)
            if fault:
                raise ClientError(fault)
            if isinstance(answer, str):
                raise ClientError(answer)
            return answer

        return call


class Iam(Client):
    def do_list_access_keys(self, state, UserName):
        keys = state["users"].get(UserName)
        if keys is None:
            return "NoSuchEntity"
        found = [{"AccessKeyId": key_id, "Status": key["status"]} for key_id, key in keys.items()]
        return {"AccessKeyMetadata": found}

    def do_create_access_key(self, state, UserName):
        keys = state["users"][UserName]
        if len(keys) >= 2:
            return "LimitExceeded"
        key_id, secret = "AKIA" + secrets.token_hex(8).upper(), secrets.token_urlsafe(30)
        keys[key_id] = {"secret": secret, "status": "Active"}
        return {"AccessKey": {"AccessKeyId": key_id, "SecretAccessKey": secret, "Status": "Active"}}

    def do_update_access_key(self, state, UserName, AccessKeyId, Status):
        key = state["users"][UserName].get(AccessKeyId)
        if key is None:
            return "NoSuchEntity"
        key["status"] = Status
        return {}

    def do_delete_access_key(self, state, UserName, AccessKeyId):
        return {} if state["users"][UserName].pop(AccessKeyId, None) else "NoSuchEntity"

    def do_tag_user(self, state, UserName, Tags):
        state["tags"].update({tag["Key"]: tag["Value"] for tag in Tags})
        return {}

    def do_list_user_tags(self, state, UserName):
        return {"Tags": [{"Key": key, "Value": value} for key, value in state["tags"].items()]}


class Sts(Client):
    def do_get_caller_identity(self, state):
        for keys in state["users"].values():
            key = keys.get(self._key[0])
            if key and (key["secret"], key["status"]) == (self._key[1], "Active"):
                return {}
        return "InvalidClientTokenId"
