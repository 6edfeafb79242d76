"""Records -> MLflow, from a process of its own."""
