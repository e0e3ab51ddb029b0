"""The engine: runs plans it does not understand, and never loses its place."""
