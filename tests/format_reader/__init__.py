"""A reader of stores and audit logs, written from docs/format.md and with nothing of strongroom's own code."""
