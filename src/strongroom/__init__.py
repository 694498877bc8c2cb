"""A secrets manager for Python services: encrypted at rest, read at runtime, every access on record."""

__version__ = "0.1.0"
