"""Ways to other monitoring systems: see ``bridge.graphite``."""
