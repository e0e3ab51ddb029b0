"""What the rooms need from the world, as protocols. A port never decides."""
