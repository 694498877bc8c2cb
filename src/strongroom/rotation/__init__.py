"""Staged rotation: a new value is pending, then set at its source, tested, promoted, and the old one is retired.

`rotation` is what a user holds; the page docs/design.md says what each module here is.
"""
