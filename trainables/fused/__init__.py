"""Several seeds of a cell trained as one network: the same mathematics in fewer, larger calls."""
