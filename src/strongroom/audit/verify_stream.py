"""Follows one stream of a log: which of its lines are authentic, and which are missing."""

from __future__ import annotations

from collections.abc import Sequence

from strongroom.audit.authentic import claimed_mac
from strongroom.audit.chain import START, TAIL_SIZE
from strongroom.audit.report import Finding, Findings
from strongroom.crypto.mac import Mac

MOST_HELD = 16
"""How many lines that are not authentic may be waiting for a line that shows what they are."""


class _Held:
    """A line that does not follow from the line before it: changed, forged, or behind lines that are missing."""

    __slots__ = ("body", "finding", "mac", "seq")

    def __init__(self, seq: int, body: bytes, mac: bytes | None, finding: Finding) -> None:
        self.seq = seq
        self.body = body
        self.mac = mac
        self.finding = finding


class Stream:
    """Where the verification of one stream stands: at its last authentic line."""

    def __init__(self, name: str, segment: int, macs: Sequence[Mac]) -> None:
        self.name = name
        self.segment = segment
        self.seq = 0
        self.gap: Finding | None = None
        """Where lines of this stream are missing or were changed."""
        self._last = START
        self._macs = macs
        self._held: list[_Held] = []

    def line(self, seq: int, piece: bytes, findings: Findings) -> bool:
        """Take the next line; return whether it is authentic, and is not one that was met before.

        What is wrong is a problem of the line where it shows: one for each line that was changed or forged, and for
        each place where some are missing.
        """
        body, mac = piece[:-TAIL_SIZE], claimed_mac(piece)
        if seq <= self.seq:
            findings.problem(
                f"event {self.name}-{seq} was repeated, moved or forged: its stream was at {self.seq} already"
            )
            return False
        if mac is not None and seq == self.seq + 1 and self._fits(self._last, body, mac):
            self._follow(seq, mac)
            return True
        if mac is not None and (before := self._claimed_by(seq - 1, body, mac)):
            self._explain(before)
            self._follow(seq, mac)
            return True
        self._hold(seq, body, mac, findings)
        return False

    def begins_with(self, piece: bytes) -> bool:
        """Return whether an event is an authentic first line of this stream."""
        mac = claimed_mac(piece)
        return mac is not None and self._fits(START, piece[:-TAIL_SIZE], mac)

    def has_lost(self, seq: int) -> bool:
        """Return whether the event with this number is not among the authentic lines before this moment."""
        return seq > max([self.seq, *(held.seq for held in self._held)])

    def _fits(self, before: bytes, body: bytes, mac: bytes) -> bool:
        for number, key in enumerate(self._macs):
            # Without the key nobody learns from the time that this comparison takes, and the verifier has it.
            if key.digest(before, body) == mac:
                if number or len(self._macs) > 1:
                    self._macs = [key]
                return True
        return False

    def _claimed_by(self, seq: int, body: bytes, mac: bytes) -> _Held | None:
        """Return the line whose MAC this one was made with: then that MAC is the true one, whatever the line says."""
        for held in self._held:
            if held.seq == seq and held.mac is not None and self._fits(held.mac, body, mac):
                return held
        return None

    def _explain(self, before: _Held) -> None:
        """Say what is wrong with a line that a line of ours stands behind."""
        first = self.seq + 1
        if before.seq > first and before.finding.message == self._wrong(before.seq):
            lost = f"{self.name}-{first}" + (f" to {self.name}-{before.seq - 1}" if before.seq > first + 1 else "")
            before.finding.message = f"before this line, {lost} is missing"
        self.gap = before.finding

    def _follow(self, seq: int, mac: bytes) -> None:
        self.seq, self._last = seq, mac
        self._held = [held for held in self._held if held.seq > seq]
        for held in self._held:
            if held.seq == seq + 1 and held.mac is not None and self._fits(mac, held.body, held.mac):
                held.finding.message = f"event {self.name}-{held.seq} was moved before the one that it follows"
                self._follow(held.seq, held.mac)
                return

    def _hold(self, seq: int, body: bytes, mac: bytes | None, findings: Findings) -> None:
        if self._held and len(self._held) == MOST_HELD:
            del self._held[0]
        before = [held.finding for held in self._held if held.seq == seq - 1]
        if self.seq == 0 and self._held and seq > 1:
            # None of its lines is authentic so far: that is one deed, or another key.
            finding = self._held[0].finding
            finding.adds("so its other lines cannot be authenticated")
        elif before:
            finding = before[0]
            finding.adds(f"so event {self.name}-{seq}, which follows, cannot be authenticated")
        else:
            finding = findings.problem(self._wrong(seq))
        self._held.append(_Held(seq, body, mac, finding))
        self.gap = self.gap or finding

    def _wrong(self, seq: int) -> str:
        if seq == 1 or seq == self.seq + 1:
            return f"event {self.name}-{seq} was changed or forged: its authentication fails"
        first = self.seq + 1
        lost = f"{self.name}-{first}" + (f" to {self.name}-{seq - 1}" if seq > first + 1 else "")
        return f"event {self.name}-{seq} was forged, or {lost} before it is missing"
