"""Measures, tests and intervals over a table of trials."""
