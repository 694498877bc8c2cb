"""Stores: drivers that map paths to opaque bytes."""
