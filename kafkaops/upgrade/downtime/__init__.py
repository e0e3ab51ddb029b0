"""Another version in one short outage: everybody down, everybody up, nothing lost."""
