"""MLflow: the export of records, from a process of its own."""

import logging

# Without handlers of the program's own, Python would print warnings to standard error.
logging.getLogger(__name__).addHandler(logging.NullHandler())
