"""Where replicas should be: the fewest moves to a goal, with the proof. Pure."""
