"""Blue/green: a second cluster is built, mirrored and proven equal; clients follow the names."""
