"""Orchestration: a grid becomes trials on Ray Tune, records and MLflow runs."""
