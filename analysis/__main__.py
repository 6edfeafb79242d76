"""`python -m analysis`."""

import os
import sys

if __name__ == "__main__":
    home = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    if not sys.flags.safe_path and sys.path[0] in ("", os.getcwd()) and home in sys.path[1:]:
        del sys.path[0]  # nothing is imported from the working folder, such as its `random.py`

    from analysis.cli import start

    start()
