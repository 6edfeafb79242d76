"""The machines: a connection to Ray, what they have to train on, whether nodes are alike."""

import logging

# Without handlers of the program's own, Python would print warnings to standard error.
logging.getLogger(__name__).addHandler(logging.NullHandler())
