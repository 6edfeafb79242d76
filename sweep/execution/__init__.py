"""Trials on workers: Ray Tune schedules, an attempt trains and commits."""
