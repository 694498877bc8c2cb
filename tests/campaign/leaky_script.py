"""A user's script whose calls all fail, each shown as Python shows what nobody catches. No variable holds the value."""

from __future__ import annotations

import logging
import os
import resource
import sys
import threading
from collections.abc import Callable

import strongroom
from strongroom import SecretsManager


def given() -> str:
    """Return the value; a function shows nothing of it."""
    return os.environ["GIVEN"]


class Failing:
    """A rotator whose error repeats what it was given."""

    def create(self, current):
        return {"value": given()}

    def set(self, current, pending):
        raise RuntimeError(f"refused {pending}")

    def __getattr__(self, name):
        return lambda *fields: None


def of_size(size: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def with_a_full_log(secrets: SecretsManager) -> None:
    of_size(1)
    try:
        secrets.set_secret("A", given())
    finally:
        of_size(resource.RLIM_INFINITY)


FAILURES: dict[str, Callable[[SecretsManager], object]] = {
    "conflict": lambda secrets: secrets.set_secret("A", given(), cas=77),
    "no value": lambda secrets: secrets.set_secret("A", {"password": given(), "object": object()}),
    "no name": lambda secrets: secrets.set_secret("../A", given()),
    "no text": lambda secrets: secrets.set_secret("A", given() + "\ud800"),
    "no version": lambda secrets: secrets.get_secret("A", version=77) + 1,
    "full": with_a_full_log,
    "rotation": lambda secrets: secrets.rotation.rotate("A", Failing()),
    "denied": lambda secrets: limited().set_secret("A", given()),
    "key": lambda secrets: opened_with_the_value(),
    "closed": lambda secrets: (secrets.close(), secrets.set_secret("A", given())),
}


def limited() -> SecretsManager:
    policy = ({"actors": ["*"], "paths": ["*"], "capabilities": ["read"]},)
    return strongroom.open(policy=policy)


def opened_with_the_value() -> object:
    os.environ["WRONG_KEY"] = given()
    return strongroom.open(key="env:WRONG_KEY")


def show(way: str) -> None:
    if way == "log":
        logging.exception("it failed")
    elif way == "thread":
        _, error, _ = sys.exc_info()
        thread = threading.Thread(target=raise_again, args=(error,))
        thread.start()
        thread.join()
    else:
        sys.excepthook(*sys.exc_info())


def raise_again(error: BaseException) -> None:
    raise error


def wait_for_the_lock() -> None:
    print("waiting", flush=True)
    strongroom.open().set_secret("A", given())


def main(way: str) -> None:
    if way == "wait":
        wait_for_the_lock()
    if way == "cgitb":
        import cgitb

        cgitb.enable(format="text")
    with strongroom.open() as secrets:
        for name, fail in FAILURES.items():
            try:
                fail(secrets)
            except Exception:
                print(name, flush=True)
                show(way)
    raise RuntimeError("the end")


if __name__ == "__main__":
    main(sys.argv[1])
