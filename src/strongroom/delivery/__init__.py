"""Secrets for programs that do not import strongroom."""
