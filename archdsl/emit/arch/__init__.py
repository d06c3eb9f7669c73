"""A checked graph as `.arch` text: one flat network, fully resolved."""
