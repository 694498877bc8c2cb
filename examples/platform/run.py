"""Runs the platform, puts a load on it, and rotates its secrets meanwhile, in plain words. Run it with `make platform`.

Ends by itself with exit code 0, or with 1 when a request failed, a service restarted, or anything else is not as told.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time

import postgres
import rotating
from loading import RATE, Counts, Load
from running import SERVICES, WITH_POOLS, Platform
from telling import NotAsTold, expect, line, say
from tour import User

from strongroom import ConflictError


def main() -> int:
    """Run it all; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rotations", type=int, default=10, help="of the PostgreSQL password, with two roles")
    parser.add_argument("--rate", type=float, default=RATE, help="requests a second to the three services with pools")
    parser.add_argument("--grace", type=float, default=10, help="seconds that a stopped service is given")
    options = parser.parse_args()
    # So that what was started ends, however this program is asked to.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        say("A master key, a store, and the secrets that the environment held:")
        with Platform() as platform:
            Story(platform, options.grace).tell(options.rotations, options.rate)
    except NotAsTold as problem:
        print(f"\nNOT AS TOLD: {problem}", flush=True)
        return 1
    except postgres.NotAvailable as problem:
        print(f"\n{problem}", flush=True)
        return 1
    except KeyboardInterrupt:
        print("\nstopped; nothing is left running", flush=True)
        return 130
    say("Everything is stopped. It was as told: no request failed, no service restarted.")
    return 0


class Story:
    """What happens to one platform."""

    def __init__(self, platform: Platform, grace: float) -> None:
        self.platform = platform
        self.grace = grace
        self.version = 1

    def tell(self, rotations: int, rate: float) -> None:
        """Tell it from beginning to end."""
        say(f"PostgreSQL and {len(SERVICES)} services run; each was given SECRETS_MASTER_KEY and no other secret.")
        user = User(self.platform)
        diagram = user.use_it()
        say(f"A load on {', '.join(WITH_POOLS)}: {rate:g} requests a second together.")
        with Load(self.platform, user.token, diagram, rate) as load:
            time.sleep(3)
            self.two_roles(load, rotations)
            self.one_role(load, 3)
            self.laggard(load)
            say("The other secrets: three that sign or are compared here, and the API key at the AI provider.")
            user.rotate_other_secrets()
            counts = load.end()
        expect(counts.requests > 0 and counts.failed == 0, f"{counts.failed} requests failed: {counts.failures}")
        expect(not self.platform.restarts(), f"restarted: {self.platform.restarts()}")
        line(f"{counts.requests} requests in {counts.seconds:.0f} s, {counts.failed} failed, no service restarted")
        self.record()

    def two_roles(self, load: Load, times: int) -> None:
        """Let two roles take turns."""
        say(f"{times} rotations of POSTGRES_PASSWORD. Two roles take turns; the one before works until it is retired.")
        rotating.attach(self.platform, grace=self.grace)
        for _ in range(times):
            self.rotate(load)

    def one_role(self, load: Load, times: int) -> None:
        """Let one role change its password."""
        role = rotating.role(self.platform, self.version)
        say(f"{times} rotations with one role: open connections go on, and a new one waits for the new password.")
        rotating.attach(self.platform, grace=self.grace, roles=(role,))
        for _ in range(times):
            self.rotate(load)

    def rotate(self, load: Load) -> None:
        """Rotate once, and say what came of it."""
        before = load.counts()
        old, self.version = self.version, rotating.rotate(self.platform).version
        held = rotating.held(self.platform)
        expect(set(held) == set(WITH_POOLS) and set(held.values()) == {self.version}, f"held: {held}")
        self.expect_refused(old)
        words = "  ".join(f"{service.removesuffix('-service')} {version}" for service, version in sorted(held.items()))
        line(f"version {self.version:2} ({rotating.role(self.platform, self.version)}); held by {words}; "
             f"PostgreSQL refuses version {old}; {since(before, load.counts())}")  # fmt: skip

    def laggard(self, load: Load) -> None:
        """Rotate while a service is stopped."""
        name, old = "diagram-service", self.version
        say(f"{name} is stopped (SIGSTOP), and the password rotated, with a grace time of {self.grace:g} s.")
        rotating.attach(self.platform, grace=self.grace)
        self.platform.processes[name].send_signal(signal.SIGSTOP)
        try:
            self.version = rotating.rotate(self.platform, wait=min(3, self.grace / 2)).version
            expect(rotating.laggards(self.platform) == [name], f"laggards: {rotating.laggards(self.platform)}")
            try:
                self.platform.store.rotation.retire(rotating.NAME)
                raise NotAsTold("the previous password was retired before its grace time")
            except ConflictError as error:
                line(str(error))
            expect(rotating.accepts(self.platform, old), f"version {old} was retired before its grace time")
            line(f"version {self.version} is current, and PostgreSQL still takes version {old}")
            self.platform.store.rotation.resume(rotating.NAME, wait=2 * self.grace)
            self.expect_refused(old)
            line(f"the grace time is over: PostgreSQL refuses version {old}")
        finally:
            self.platform.processes[name].send_signal(signal.SIGCONT)
        before = load.counts()
        time.sleep(3)
        line(f"{name} goes on (SIGCONT); {since(before, load.counts())}")

    def record(self) -> None:
        """Verify the audit log, and look for every step."""
        say("The record of all that:")
        report, steps = self.platform.store.verify_audit(), rotating.steps_on_record(self.platform)
        expect(report.ok, f"the audit log does not verify: {report.problems}")
        line(f"{report.events} events in {report.streams} streams of the processes; the chain verifies")
        rotations = self.version - 1
        expect(steps == [*rotating.STEPS] * rotations, f"the steps of {rotations} rotations are: {steps}")
        line(f"POSTGRES_PASSWORD, {rotations} times: {', '.join(rotating.STEPS)}")

    def expect_refused(self, old: int) -> None:
        """Fail unless PostgreSQL takes the current version, and refuses the old one, which is retired."""
        expect(rotating.step(self.platform) == "idle", f"version {old} is not retired")
        expect(rotating.accepts(self.platform, self.version), f"PostgreSQL refuses version {self.version}")
        expect(not rotating.accepts(self.platform, old), f"PostgreSQL takes version {old}")


def since(before: Counts, now: Counts) -> str:
    """Say what the load did between two counts."""
    rate = (now.requests - before.requests) / max(now.seconds - before.seconds, 0.001)
    return f"{rate:.0f} requests/s, {now.failed} failed"


if __name__ == "__main__":
    sys.exit(main())
