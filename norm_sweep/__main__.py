"""The entry point of `norm-sweep`; also `python -m norm_sweep`, where it is not on the PATH."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Run the command that is typed; ends the process."""
    home = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    path = sys.path[:]
    if home in path[1:]:
        del sys.path[0]  # the working folder, after `python -m`: a `sweep.py` may lie in it
    from sweep.process.import_order import put_working_folder_last

    sys.path[:] = path
    put_working_folder_last()

    from norm_sweep.cli import app
    from sweep.cli.app import main as run

    run(app)


if __name__ == "__main__":
    main()
