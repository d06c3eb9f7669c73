"""Syntax tree to checked layer graph: elaboration, costs, claims, lints."""
