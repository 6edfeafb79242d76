"""Where trials come from: a CSV, a sweep's records, or MLflow; all give the same frames."""
