"""The audit log: events, their chain, and its verification."""
