"""Conformance suites for drivers: subclass one, give it a factory, and run pytest."""
