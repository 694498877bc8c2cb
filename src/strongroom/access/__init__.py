"""Who may, and what is on record."""
