"""The commands of `norm-sweep`, by what they are for."""
