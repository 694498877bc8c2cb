"""Finds the store's own values where they should not be: files, git, images."""
