"""MLflow: the export of records, from a process of its own."""
