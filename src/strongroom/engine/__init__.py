"""An unlocked store: reads, one transaction, the rules of versions, checks of the whole."""
