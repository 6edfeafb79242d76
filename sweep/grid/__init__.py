"""A grid: YAML with its lines, its checks, and the trials that it stands for."""
