"""Checked graph to pictures as text."""
