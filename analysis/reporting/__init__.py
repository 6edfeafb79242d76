"""The report: its sentences, its tables and the pages that hold them."""
