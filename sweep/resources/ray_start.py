"""Starting a Ray on this machine, which takes long where other things run on it too."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from sweep.process import interrupts
from sweep.resources.ray_compat import extended_node_wait, is_start_timeout

logger = logging.getLogger(__name__)

LONGEST_START_S = 180.0
"""So long they may take at the second try, on a machine that is busy with other things."""


def start_local_ray(init_options: dict[str, Any], on_line: Callable[[str], None]) -> None:
    """Start Ray on this machine; after a timeout, start it a second time with a longer wait.

    Args:
        init_options: further arguments of `ray.init`.
        on_line: called with a line for the user before the second start.
    """
    import ray

    with interrupts.hangups_blocked_for_children():
        try:
            ray.init(address="local", include_dashboard=False, **init_options)
        except Exception as error:
            if not is_start_timeout(error):
                raise
            ray.shutdown()
            logger.warning("Ray was not up in time: %s", error)
            on_line(
                f"Ray was not up within 30 s; this machine may be busy: it is started once more, "
                f"and waited for up to {LONGEST_START_S:.0f} s"
            )
            with extended_node_wait(LONGEST_START_S):
                ray.init(address="local", include_dashboard=False, **init_options)
