"""Starting a Ray on this machine, which takes long where other things run on it too."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sweep.process import interrupts
from sweep.process.environment import replace_attribute

LATE = re.compile(r"timed[ -]?out|timeout", re.IGNORECASE)
"""What Ray says where its processes are not up in time, which it takes to be 30 s."""

LONGEST_START_S = 180.0
"""So long they may take at the second try, on a machine that is busy with other things."""


def start_here(quiet: dict[str, Any], say: Callable[[str], None]) -> None:
    """Start Ray on this machine; if it is not up in time, once more, with a longer wait."""
    import ray

    with interrupts.children_spared_hangups():
        try:
            ray.init(address="local", include_dashboard=False, **quiet)
        except Exception as error:
            if not LATE.search(str(error)):
                raise
            ray.shutdown()
            say(
                f"Ray was not up within 30 s; this machine may be busy: it is started once more, "
                f"and waited for up to {LONGEST_START_S:.0f} s"
            )
            with patient_start(LONGEST_START_S):
                ray.init(address="local", include_dashboard=False, **quiet)


@contextmanager
def patient_start(seconds: float) -> Iterator[None]:
    """Within the block a Ray that is started gets so many seconds until its node must be there.

    It asks for its node until that is there, or 30 s are over. Here each of these questions waits
    for the answer itself. A later Ray may ask in another way, and then waits as long as it does.
    """
    from ray._private import services

    ask: Callable[..., Any] = services.get_node
    deadline = time.monotonic() + seconds

    def ask_patiently(*arguments: Any, **named: Any) -> Any:
        while True:
            try:
                return ask(*arguments, **named)
            except RuntimeError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.5)

    with replace_attribute("ray._private.services", "get_node", ask_patiently):
        yield
