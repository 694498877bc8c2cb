"""Attacks, as strangers on the same machine make them: each refused, or written down in the threat model."""
