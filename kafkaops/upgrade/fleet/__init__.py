"""What else acts on a host while its node is down: held before, proven, and given back after."""
