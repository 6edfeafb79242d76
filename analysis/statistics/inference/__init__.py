"""Tests, intervals and their adjustment: one question of inference per module.

- `intervals`: the mean over seeds of one cell or measure, with its interval;
- `differences`: the contrast of two norms, paired by seed, and Welch's beside;
- `family`: the declared and the exploratory families of contrasts, adjusted by Holm;
- `equivalence`: whether a contrast lies within a margin;
- `power`: how many seeds find which difference, where a further seed is decided on.
"""
