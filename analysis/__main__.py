"""`python -m analysis`."""

import os
import sys

if __name__ == "__main__":
    home = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    if not sys.flags.safe_path and home in sys.path[1:]:
        del sys.path[0]  # the working folder: nothing is imported from it, such as a `random.py`

    from analysis.cli import run_command_line

    run_command_line()
