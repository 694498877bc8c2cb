"""What was given and what was found, and how far it is believed."""
