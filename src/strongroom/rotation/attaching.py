"""Attaches a rotator to a secret, once its source has agreed, and detaches it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from strongroom.engine.change import Change
from strongroom.errors import ConflictError, InvalidInputError, NotFoundError, RotationError, StrongroomError
from strongroom.model import ROTATION
from strongroom.records.context import entries
from strongroom.records.data import decode_data
from strongroom.rotation import steps
from strongroom.rotation.clock import Clock
from strongroom.rotation.entry import Entry
from strongroom.rotation.looking import check_unchanged, note
from strongroom.rotation.rotators import Rotators
from strongroom.rotation.source import Source
from strongroom.rotation.state import State, load, open_state


class Attachment(NamedTuple):
    """What an operator asks for: the URL of a rotator, and spans in seconds."""

    url: str
    every: float | None
    grace: float | None
    graces: Mapping[str, float]


def attach(entry: Entry, rotators: Rotators, clock: Clock, wanted: Attachment, *, force: bool) -> list[str]:
    """Attach a rotator; return what its source says. See `Rotation.attach`."""
    url, every, grace, graces = wanted
    _check_spans(every, grace, graces)
    if not isinstance(url, str):
        raise InvalidInputError(f"a rotator is attached by its URL, which is text, not {type(url).__name__}")
    name, source = entry.name, rotators.at(entry.name, url)
    said, version = ([], 0) if force else _asked(entry, rotators, source, url, clock)

    def step(change: Change) -> None:
        steps.current(change, name)
        state = load(change, change.records, name) or State(name)
        is_used = state.by_url or (not state.id and state.is_running(clock.now()))
        if is_used and url != state.url and not force and not _is_same(rotators, state.url, source):
            raise ConflictError(
                f"{name!r} is being rotated by another rotator; finish that first, or --force", name=name
            )
        asked = state._replace(url=url, every=every, grace=grace, graces=dict(graces) or None)
        # Another source may not have what this one was asked for.
        asked = asked._replace(known=version or (state.known if url == state.url else 0))
        steps.store(change, steps.noted(asked, None, 0.0) if version else asked)

    entry.change("attached", step)
    return said


def reschedule(
    entry: Entry, every: float | None, grace: float | None, graces: Mapping[str, float] | None
) -> None:  # fmt: skip
    """Change the spans that are given. See `Rotation.reschedule`."""
    name = entry.name
    _check_spans(every, grace, {} if graces is None else graces)

    def step(change: Change) -> None:
        state = load(change, change.records, name)
        if state is None or state.url is None:
            steps.current(change, name)
            raise NotFoundError(f"{name!r} has no rotator that could be due: attach one first", name=name)
        asked = state._replace(
            every=state.every if every is None else every,
            grace=state.grace if grace is None else grace,
            graces=state.graces if graces is None else dict(graces) or None,
        )
        steps.store(change, asked)

    entry.change("attached", step)


def detach(entry: Entry, clock: Clock, *, force: bool) -> None:
    """Detach the rotator. See `Rotation.detach`."""
    name = entry.name

    def step(change: Change) -> None:
        state = load(change, change.records, name)
        if state is not None and ((state.id and not force) or state.is_running(clock.now())):
            stage = state.step if state.id else "it begins"
            raise ConflictError(
                f"{name!r} is being rotated ({stage}); finish that first, or --force leaves its source as it is",
                name=name,
            )
        if state is not None:
            change.delete(ROTATION + name)

    entry.change("detached", step)


def _check_spans(every: float | None, grace: float | None, graces: object) -> None:
    if not all(span is None or _is_span(span) for span in (every, grace)):
        raise InvalidInputError("every and grace are numbers of seconds")
    if not isinstance(graces, Mapping) or not all(
        isinstance(service, str) and service and _is_span(span) for service, span in graces.items()
    ):
        raise InvalidInputError("graces maps names of services to numbers of seconds")


def _is_span(span: object) -> bool:
    return isinstance(span, int | float) and type(span) is not bool and 0 <= span < 1e10


def _asked(entry: Entry, rotators: Rotators, source: Source, url: str, clock: Clock) -> tuple[list[str], int]:
    """Return what the source says, and the version that it accepts; 0 when that was not asked."""
    live = entry.read_live()
    try:
        _check_is_free(entry, rotators, source)
        # While a rotation is under way the source may have another value than the current one.
        return ([], 0) if live.state.id else (source.check(decode_data(live.data)), live.version.version)
    except ConflictError as error:
        entry.refuse("attached", error)
    except RotationError as error:
        check_unchanged(entry, live, clock, "attached")
        entry.failed("attached", error)
        if url == live.state.url:  # attached already: what was found is true of that
            note(entry, error, clock)
        raise type(error)(
            f"nothing was attached to {entry.name!r}: {error}. Put that right, or --force attaches it unseen",
            name=entry.name,
        ) from None


def _check_is_free(entry: Entry, rotators: Rotators, source: Source) -> None:
    """Raise `ConflictError` when the rotator of another secret rotates the same account."""
    with entry.access.engine.view() as (view, unlocked):
        others = [
            open_state(unlocked.records, path.removeprefix(ROTATION), stored)
            for path, stored in entries(view, ROTATION)
        ]
    for other in others:
        if other.name == entry.name or other.url is None or not source.accounts:
            continue
        try:
            shared = source.accounts & rotators.at(other.name, other.url).accounts
        except StrongroomError:
            continue
        if shared:
            raise ConflictError(
                f"{entry.name!r} cannot be rotated by this: {other.name!r} rotates {', '.join(sorted(shared))} "
                "already, and each rotation would shut the readers of the other out. Let one of the two stand for both",
                name=entry.name,
            )


def _is_same(rotators: Rotators, url: str | None, source: Source) -> bool:
    """True when another URL leads to the same accounts, if at another host."""
    if url is None:
        return False
    try:
        before = rotators.at("", url)
    except StrongroomError:
        return False
    return before.kind == source.kind and before.users == source.users
