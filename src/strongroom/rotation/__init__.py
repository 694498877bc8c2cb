"""Staged rotation: a new value is pending, then set at its source, tested, promoted, and the old one is retired.

`state` is what a store keeps of a rotation, `steps` are its transactions, `calls` asks the rotator, `owner` keeps two
processes apart, `consumers` knows who still holds the old value, and `rotation` puts them in order.
"""
