"""The optimizer steps of a trial: eager, compiled, or replayed from a CUDA graph."""
