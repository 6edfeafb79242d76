"""How many trials share a GPU: measured once for each cell, and stored beside the records."""
