"""Analyses that a table and a figure share, a module each."""
