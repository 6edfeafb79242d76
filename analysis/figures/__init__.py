"""One figure a file: each a pure function from a comparison to a matplotlib `Figure`."""
