"""The report: its words, its tables and the pages that hold them."""
