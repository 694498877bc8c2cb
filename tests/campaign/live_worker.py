"""A process that watches secrets by live handles: for callbacks that are counted, and for what a long life uses up.

Each callback appends one line to a file that all share: who, version, and the nanoseconds of CLOCK_MONOTONIC.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
import warnings
from pathlib import Path
from typing import Any

import strongroom
from strongroom.manager.manager import SecretsManager

NAME = "watched/0"
MANY = "many/"
SETTLE = 0.2
"""Seconds in which a callback that should not come would come."""


def note(place: Path, who: str, version: int) -> None:
    descriptor = os.open(place / "called", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, f"{who} {version} {time.monotonic_ns()}\n".encode())
    os.close(descriptor)


def until_stopped(place: Path) -> None:
    while not (place / "stop").exists():
        time.sleep(0.01)


def in_threads(secrets: SecretsManager, place: Path, count: int) -> None:
    """Watch in threads that read without pause, too."""

    def watch(number: int) -> None:
        handle = secrets.secret(NAME)
        handle.on_change(lambda handle: note(place, f"thread-{number}", handle.seen))
        (place / f"ready-{number}").touch()
        while not (place / "stop").exists():
            for _ in range(100):
                assert handle.value

    threads = [threading.Thread(target=watch, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def in_children(secrets: SecretsManager, place: Path, count: int) -> None:
    """Watch, and then fork while a thread reads: the children go on watching."""
    # Python 3.12 and later warn of a fork beside a thread, which is what this is for.
    warnings.filterwarnings("ignore", r"This process \(pid=\d+\) is multi-threaded", DeprecationWarning)
    handle = secrets.secret(NAME)
    who = ["parent"]
    handle.on_change(lambda handle: note(place, who[0], handle.seen))
    threading.Thread(target=_read_until_stopped, args=(handle, place)).start()
    children = []
    for number in range(count - 1):
        child = os.fork()
        if child == 0:
            who[0] = f"child-{number}"
            (place / f"ready-{number}").touch()
            until_stopped(place)
            sys.exit()
        children.append(child)
    (place / f"ready-{count}").touch()
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * len(children)


def _read_until_stopped(handle: Any, place: Path) -> None:
    while not (place / "stop").exists():
        assert handle.value
        time.sleep(0)


def in_process(secrets: SecretsManager, place: Path, number: int) -> None:
    """Watch in the main thread, as one of many processes; the program ends without closing anything."""
    secrets.secret(NAME).on_change(lambda handle: note(place, f"process-{number}", handle.seen))
    (place / f"ready-{number}").touch()
    until_stopped(place)


def endure(secrets: SecretsManager, place: Path, watched: int, readers: int, seconds: float) -> None:
    """Watch many secrets, read them in threads, change them, and fork; print what the process used meanwhile."""
    handles = [secrets.secret(f"{MANY}{number}") for number in range(watched)]
    called = [0]

    def count(handle: Any) -> None:
        called[0] += 1

    for handle in handles:
        handle.on_change(count)
    stop = threading.Event()
    threads = [threading.Thread(target=_read_in_turn, args=(handles, stop)) for _ in range(readers)]
    for thread in threads:
        thread.start()
    begun, used, step = time.monotonic(), [], 0
    while time.monotonic() - begun < seconds or len(used) < 8:
        secrets.set_secret(handles[step % watched].name, f"value {step}")
        if step % 5 == 0:
            _fork_and_read(handles)
        if step % 4 == 0:
            used.append([time.monotonic() - begun, *usage()])
        step += 1
        time.sleep(0.02)
    _wait_for(lambda: called[0] >= min(step, watched))
    stop.set()
    for thread in threads:
        thread.join()
    print(json.dumps({"used": used, "changes": step, "called": called[0]}))


def _read_in_turn(handles: list[Any], stop: threading.Event) -> None:
    while not stop.is_set():
        for handle in handles:
            assert handle.value
            if stop.wait(0.0001):
                return


def _fork_and_read(handles: list[Any]) -> None:
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = 0 if all(handle.value for handle in handles[:20]) else 1
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0


def _wait_for(condition: Any, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"nothing happened for {seconds:g} s"
        time.sleep(0.01)


def usage() -> tuple[int, int, int]:
    """Return the number of descriptors and of threads of this process, and its resident memory in KiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return (
        len(os.listdir("/proc/self/fd")),
        len(os.listdir("/proc/self/task")),
        pages * os.sysconf("SC_PAGESIZE") // 1024,
    )


def main(how: str, store: str, place: str, *arguments: str) -> None:
    secrets = strongroom.open(store, audit=f"file:{place}/audit.log", actor="watcher")
    numbers = [int(argument) for argument in arguments]
    {"threads": in_threads, "children": in_children, "process": in_process, "endure": endure}[how](
        secrets, Path(place), *numbers
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
