"""What `rotate` does, by what is asked for."""
