"""Audit sinks: drivers that append lines to a log."""
