"""The command `norm-sweep`: what `python -m sweep` and `python -m analysis` do, under one name."""
