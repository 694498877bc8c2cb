"""Every byte that lies in a store."""
