"""What Tune does on the way to the first trial, and a sweep can do without.

Both take a good second of it; a later Ray may have neither.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from sweep.process.environment import replace_attribute


@contextmanager
def skip_tune_startup() -> Iterator[None]:
    """Within the block Tune takes the workers that Ray has at hand, and imports no trackers."""
    with ExitStack() as stack:
        # With a variable of its own (for Lightning), an actor is given a new process.
        stack.enter_context(
            replace_attribute("ray.tune.execution.class_cache", "DEFAULT_ENV_VARS", {})
        )
        # For usage statistics, which are off, it looks which tracker's callbacks it was given.
        stack.enter_context(
            replace_attribute("ray.air._internal.usage", "tag_callbacks", lambda callbacks: False)
        )
        yield
