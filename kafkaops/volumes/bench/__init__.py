"""Plain against encrypted, on the operator's own disk."""
