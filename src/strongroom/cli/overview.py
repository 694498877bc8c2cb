"""The commands: where each is defined, and its one line of the overview. Nothing is imported before it is used."""

from __future__ import annotations


class Entry:
    """One line of the overview."""

    __slots__ = ("module", "summary")

    def __init__(self, module: str, summary: str) -> None:
        self.module = module
        self.summary = summary


COMMANDS = {
    "init": Entry("setup", "make a new store, and a master key when there is none"),
    "set": Entry("writing", "store a new version of a secret"),
    "get": Entry("reading", "print the value of a secret"),
    "list": Entry("reading", "list the names of the secrets"),
    "history": Entry("reading", "list the versions of a secret"),
    "rotate": Entry("rotating", "replace the value of a secret, at its source too"),
    "rollback": Entry("writing", "make an older version the current one"),
    "rm": Entry("removing", "hide a secret; undelete shows it again"),
    "undelete": Entry("removing", "show a hidden secret again"),
    "destroy": Entry("removing", "remove the ciphertext of a secret for good"),
    "run": Entry("running", "run a program with secrets in its environment"),
    "render": Entry("rendering", "write secrets as files of a directory in memory"),
    "edit": Entry("editing", "change a secret in your editor"),
    "import": Entry("importing", "take secrets over from a file or the environment"),
    "export": Entry("exporting", "write secrets in the clear, for other tools"),
    "rekey master": Entry("rekey", "change the master key"),
    "rekey data": Entry("rekey", "change the key that encrypts the secrets"),
    "rekey add": Entry("rekey", "let another master key open the store too"),
    "rekey remove": Entry("rekey", "shut a master key out"),
    "rekey list": Entry("rekey", "list who can open the store, and its keys"),
    "audit log": Entry("auditing", "show the newest accesses"),
    "audit verify": Entry("auditing", "verify that the audit log is complete and unchanged"),
    "audit export": Entry("auditing", "write the audit log as JSON lines or CSV"),
    "audit keys": Entry("auditing", "write the keys that an auditor needs to verify the log"),
    "scan": Entry("scanning", "look for the store's own values in files, git history and images"),
    "verify": Entry("verifying", "verify every record of the store"),
    "doctor": Entry("doctor", "look for problems, and say what to do"),
    "selftest": Entry("selftest", "prove on this installation that strongroom does what it says"),
    "allow": Entry("allowing", "believe the settings or the key that were found here"),
    "keygen": Entry("setup", "make a master key"),
    "completion": Entry("completion", "print the completion script for your shell"),
}
ALIASES = {"ls": "list", "delete": "rm"}
GROUPS = tuple(dict.fromkeys(name.split()[0] for name in COMMANDS if " " in name))
