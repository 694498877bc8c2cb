"""A small service: it holds no password, and asks for it whenever it needs one."""

import sys

from strongroom import get_secret_or_env

print("service: ready", flush=True)
for _ in sys.stdin:  # each line is a request
    password = get_secret_or_env("POSTGRES_PASSWORD", "POSTGRES_PASSWORD", "postgres")
    print(f"service: connecting to the database with the password that ends in …{password[-6:]}", flush=True)
