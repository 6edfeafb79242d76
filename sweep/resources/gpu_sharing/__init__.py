"""How many trials share a GPU: measured once for each cell, and kept beside the records."""
