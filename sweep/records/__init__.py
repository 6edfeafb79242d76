"""What a sweep stores: records, checkpoints, and the lease of its driver."""

import logging

# Without handlers of the program's own, Python would print warnings to standard error.
logging.getLogger(__name__).addHandler(logging.NullHandler())
