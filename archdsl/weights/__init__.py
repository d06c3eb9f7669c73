"""Where weights come from: seeded initialization, files, and matching by name."""
