"""Configuration: one YAML file a pair of clusters."""
