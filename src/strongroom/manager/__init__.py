"""What a service holds."""
