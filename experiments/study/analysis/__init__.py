"""From results to tables: pure functions of a study's `Results`."""
