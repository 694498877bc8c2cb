"""The only modules that call a cipher, a KDF or a MAC, one module for each; all of pyca/cryptography or hashlib."""

from __future__ import annotations


class Forged(Exception):
    """Authentication failed. Never leaves strongroom: the caller knows what was forged, and raises what says so."""
