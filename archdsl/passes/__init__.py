"""Passes: a checked graph and its weights -> a graph that deploys better, one file each."""
