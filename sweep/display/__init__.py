"""Observers of a sweep: live view, lines, tables, status and JSON."""
