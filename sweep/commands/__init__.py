"""The commands of `python -m sweep`, by what they are for."""
