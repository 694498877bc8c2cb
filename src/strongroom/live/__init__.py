"""Handles that are always current."""
