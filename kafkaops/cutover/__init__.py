"""Moving live clients from one cluster to the other, and back."""
