"""Why strongroom is not ahead of a peer in a job, where it is not."""

from __future__ import annotations

_NOT_DURABLE = "it does not wait for the disk: a crash while it writes can lose every secret in the file"
_NATIVE = "a native program, and most of strongroom's time is the start of Python and its imports"

WHY_NOT = {
    ("read-peers", "fernet-cached"): (
        "it looks nothing up: every value lies decrypted in memory and stays what it was at the start of the process,"
        " and its log is not chained"
    ),
    ("write-peers", "fernet-file"): _NOT_DURABLE,
    ("write-peers", "fernet-per-secret"): _NOT_DURABLE,
    ("write-peers", "keyring"): f"{_NOT_DURABLE}, and it keeps no record",
    ("write-peers", "python-dotenv"): "plain text, not waiting for the disk, no record",
    ("shell-get", "age"): f"{_NATIVE}; it decrypts one file and keeps no record",
    ("shell-get", "sops"): f"{_NATIVE}; it keeps no record",
    ("shell-run", "sops"): f"{_NATIVE}; it keeps no record",
    ("shell-get", "python-dotenv"): "it reads plain text and keeps no record",
    ("shell-run", "python-dotenv"): "it reads plain text and keeps no record",
}
"""Keyed by section and contender."""

MEMORY = (
    "strongroom's memory is that of Python, `cryptography` and `sqlite3`, which the floor shows, and its own code."
    " A process that reads many secrets also holds pages of the database (up to 64 MiB) and ciphertext (up to 64 MiB)."
)
