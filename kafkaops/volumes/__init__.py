"""LUKS volumes whose keys KMS guards: one module for every broker."""
