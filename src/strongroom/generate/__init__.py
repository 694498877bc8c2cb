"""New values for secrets."""
