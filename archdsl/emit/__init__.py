"""Checked graph to something else; the rooms in here never import one another."""
