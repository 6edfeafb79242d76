"""One of the processes that train on a device at the same time, while they are measured.

A line of JSON comes in and one goes out: `{"specs": …}` prepares trials and answers with their
memory, `{"seconds": …}` trains them and answers with their steps a second. `error` says why not.
"""

from __future__ import annotations

import gc
import json
import os
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trainables.workload import Workload


class ProbeProcess:
    """The process's side of the talk."""

    def __init__(self) -> None:
        self.workload: Workload | None = None

    def answer(self, order: dict[str, Any]) -> dict[str, Any]:
        """Do what is asked; what went wrong is an answer too."""
        from trainables.errors import describe_error

        try:
            if "specs" in order:
                return self._prepare(order)
            if self.workload is None:
                raise RuntimeError("there is nothing to train")
            return {"steps_per_s": self.workload.train_for(order["seconds"])}
        except (Exception, SystemExit) as error:  # a user's own layer may raise anything
            self.workload = None
            return {"error": describe_error(error)}

    def _prepare(self, order: dict[str, Any]) -> dict[str, Any]:
        import torch

        from trainables.spec import spec_from_dict
        from trainables.workload import Workload

        self.workload = None
        gc.collect()
        torch.set_num_threads(order["num_threads"])
        if order["device"] == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        specs = [spec_from_dict(plain) for plain in order["specs"]]
        how = {key: order[key] for key in ("width", "data_root", "device", "cuda_graphs")}
        workload = Workload(specs, **how)
        workload.warm_up()
        self.workload = workload
        return asdict(workload.memory())


def serve_probe() -> None:
    """Answer until nothing more is asked."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what layers print is no answer
    neighbour = ProbeProcess()
    for line in sys.stdin:
        answers.write(json.dumps(neighbour.answer(json.loads(line))) + "\n")


if __name__ == "__main__":
    serve_probe()
