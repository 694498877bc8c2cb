"""Key providers: drivers that guard keys with a master key."""
