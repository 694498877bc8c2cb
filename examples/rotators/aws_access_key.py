#!/usr/bin/env python3
"""Rotates the access key of an AWS user: a program for strongroom's `command:` rotator. It needs boto3.

    strongroom rotate aws/billing --attach "command:$PWD/aws_access_key.py?timeout=60" --every 30d

The secret `aws/billing` has the fields `user`, `access_key_id` and `secret_access_key`. The program itself logs in as
boto3 always does (a role, a profile, variables), with the rights iam:ListAccessKeys, CreateAccessKey, UpdateAccessKey,
DeleteAccessKey, ListUserTags and TagUser for that user.

AWS makes the key, and a user has two at most. So `create` makes it inactive, `set` activates it, `retire` makes the
previous one inactive, and it is deleted when the next one is made. A tag of the user names the rotation that is making
a key, so that the one of a `create` whose answer was lost is known, and deleted. No other active key is touched.
"""

import json
import os
import sys
import time

import boto3
from botocore.exceptions import ClientError

TAG = "strongroom-rotation"
PATIENCE = float(os.environ.get("AWS_KEY_PATIENCE", "20"))
"""Seconds until AWS knows everywhere of a key that was activated."""


def main(step, request):
    """Do one step; exit codes that are not 1 say that nothing was changed."""
    keys = Keys(request)
    try:
        getattr(keys, step)()
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if keys.has_changed:
            sys.exit(f"{code}, after something was changed")
        print(code, file=sys.stderr)  # not its text, which can name keys
        meanings = {"NoSuchEntity": os.EX_NOUSER, "AccessDenied": os.EX_NOPERM, "Throttling": os.EX_TEMPFAIL,
                    "LimitExceeded": os.EX_CONFIG}  # fmt: skip
        sys.exit(meanings.get(code, 1))


class Keys:
    """The keys of one user, and what a request says of them."""

    def __init__(self, request):
        self.iam = boto3.client("iam")
        self.request = request
        self.user = request.get("current", request.get("pending"))["user"]
        self.has_changed = False

    def create(self):
        """Make a key, once for a rotation."""
        current = self.request["current"]
        others = {key: status for key, status in self.keys().items() if key != current["access_key_id"]}
        if "Active" in others.values() and self.request["rotation"] not in self.making():
            print(f"{self.user} has another active key, which may be in use: deactivate or delete it", file=sys.stderr)
            sys.exit(os.EX_CONFIG)
        for key in others:
            self.change("delete_access_key", AccessKeyId=key)
        self.change("tag_user", Tags=[{"Key": TAG, "Value": self.request["rotation"]}])
        made = self.change("create_access_key")["AccessKey"]
        self.change("update_access_key", AccessKeyId=made["AccessKeyId"], Status="Inactive")
        key = {"access_key_id": made["AccessKeyId"], "secret_access_key": made["SecretAccessKey"]}
        print(json.dumps({**current, **key}))

    def set(self):
        """Activate the pending key, and the current one where it is not."""
        self.activate(self.request["pending"], must_be=True)
        self.activate(self.request["current"], must_be=False)

    def test(self):
        """Log in with the key; what was just activated may take some seconds."""
        key = self.request["pending"]
        until = time.monotonic() + (PATIENCE if self.request["rotation"] else 0)
        sts = boto3.client(
            "sts", aws_access_key_id=key["access_key_id"], aws_secret_access_key=key["secret_access_key"]
        )
        while True:
            try:
                sts.get_caller_identity()
            except ClientError as error:
                if time.monotonic() >= until:
                    sys.exit(f"AWS does not accept the key: {error.response['Error']['Code']}")
                time.sleep(1)
            else:
                return

    def retire(self):
        """Deactivate the previous key."""
        self.change("update_access_key", AccessKeyId=self.request["previous"]["access_key_id"], Status="Inactive")

    def discard(self):
        """Delete a key that no rotation is going to use."""
        self.change("delete_access_key", AccessKeyId=self.request["created"]["access_key_id"])

    def activate(self, data, *, must_be):
        """Activate a key, unless it is."""
        status = self.keys().get(data["access_key_id"])
        if status == "Inactive" or (status is None and must_be):
            self.change("update_access_key", AccessKeyId=data["access_key_id"], Status="Active")

    def keys(self):
        """Return the status of each key of the user."""
        found = self.iam.list_access_keys(UserName=self.user)["AccessKeyMetadata"]
        return {key["AccessKeyId"]: key["Status"] for key in found}

    def making(self):
        """Return the rotation that made a key last, or was about to."""
        tags = self.iam.list_user_tags(UserName=self.user)["Tags"]
        return [tag["Value"] for tag in tags if tag["Key"] == TAG and tag["Value"]]

    def change(self, call, **arguments):
        """Change something at AWS."""
        answer = getattr(self.iam, call)(UserName=self.user, **arguments)
        self.has_changed = True
        return answer


if __name__ == "__main__":
    if sys.argv[1] not in ("create", "set", "test", "retire", "discard"):
        sys.exit(os.EX_USAGE)
    main(sys.argv[1], json.load(sys.stdin))
