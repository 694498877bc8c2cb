"""Rotators: give a secret a new value at its source. Each module has `connect(rest, read)`."""
