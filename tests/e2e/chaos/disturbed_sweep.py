"""One folder, one grid, run again and again while things are done to it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from random import Random

from chaos.faults import FAULTS
from chaos.verdict import Records, Verdict, judge_log, judge_records, judge_store
from marked_processes import kill_marked, left_after, new_mark
from mlflow_server import MlflowServer

from sweep.execution.trial_writer import CHECKPOINT_MIN_S

GRID = Path(__file__).parents[3] / "grids" / "quickstart.yaml"
RUN_TIMEOUT_S = 1200
RAYS_OWN_END_S = 60
EXIT_CODES = {
    0: "done",
    3: "incomplete",
    4: "MLflow not up to date",
    -9: "killed",
    -2: "interrupted before Python had begun",
    -15: "interrupted before Python had begun",
}


class DisturbedSweep:
    """The quickstart in a folder of its own, and the MLflow server that it ships to."""

    def __init__(self, folder: Path, dice: Random, verdict: Verdict) -> None:
        folder.mkdir(parents=True)
        shutil.copy(GRID, folder / "grid.yaml")
        self.folder, self.dice, self.verdict = folder, dice, verdict
        self.server = MlflowServer(folder)
        self.is_frozen = False
        self.mark = new_mark()
        self.process: subprocess.Popen[bytes] | None = None
        self.most_epochs: dict[str, int] = {}
        self.attempts_seen: dict[str, int] = {}

    def end(self) -> None:
        """Leave no process behind."""
        kill_marked(self.mark)
        self.server.kill()

    def undisturbed(self) -> Records:
        """Train it once in peace; the records that all others are held against."""
        self.server.start()
        code = self._start("run").wait(RUN_TIMEOUT_S)
        assert code == 0, (self.folder / "log").read_text()
        return self.records()

    def disturbed(self, truth: Records) -> None:
        """Run with faults until every trial has an outcome, then judge what is there."""
        self.server.start()
        while not self._is_through(truth):
            self._run_and_disturb()
            if self.dice.random() < 0.3:
                self._judge_as_it_stands()
        self._judge_as_it_stands()
        judge_records(self.verdict, self.records(), truth)
        judge_log(self.verdict, self.folder / "log")
        left = left_after(self.mark, RAYS_OWN_END_S)
        self.verdict.fault("processes left behind", len(left), "; ".join(left)[:300])
        self.verdict.rounds += 1

    def records(self) -> Records:
        """The records as they lie on the disk."""
        files = (self.folder / "runs" / "quickstart" / "trials").glob("*/record.json")
        return {file.parent.name: json.loads(file.read_text()) for file in files}

    def server_is_up(self) -> bool:
        """Whether the server answers."""
        return self.server.process is not None and not self.is_frozen

    def put_server_right(self) -> None:
        """End an outage, whichever it was."""
        self.server.thaw()
        self.server.start()
        self.is_frozen = False

    def note_epochs(self) -> None:
        """Count epochs that have gone since the last look, or that an attempt began anew."""
        for trial_id, record in self.records().items():
            known, seen = self.most_epochs.get(trial_id, 0), self.attempts_seen.get(trial_id, 0)
            numbers = [epoch["epoch"] for epoch in record["epochs"]]
            lost = max(0, known - len(numbers))
            self.verdict.fault("epochs lost", lost, f"{trial_id}: {known} to {len(numbers)}")
            for attempt in record["attempts"][seen:]:
                again = max(0, known - attempt["from_epoch"])
                what = f"{trial_id} from epoch {attempt['from_epoch']}, {known} were there"
                again_s = sum(e["train_s"] + e["eval_s"] for e in record["epochs"][known - again :])
                is_short = again_s <= CHECKPOINT_MIN_S
                self.verdict.fault("epochs repeated", 0 if is_short else again, what)
            in_order = numbers == list(range(1, len(numbers) + 1))
            self.verdict.fault("epochs repeated", not in_order, f"{trial_id}: {numbers}")
            self.most_epochs[trial_id] = len(numbers)
            self.attempts_seen[trial_id] = len(record["attempts"])

    def second_driver(self) -> None:
        """Try to drive the sweep from a second process as well; it must be refused."""
        if not (self.folder / "runs" / "quickstart" / "driver.lock").exists():
            return
        code = self._start("run").wait(RUN_TIMEOUT_S)
        if self.process and self.process.poll() is None:
            self.verdict.refused_drivers += 1
            self.verdict.fault("unexpected exit codes", code != 2, f"a second driver: {code}")

    def _start(self, command: str) -> subprocess.Popen[bytes]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW_", "RAY_"))}
        with open(self.folder / "log", "ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "sweep", command, "grid.yaml"],
                cwd=self.folder,
                env={**kept, **self.mark, "MLFLOW_TRACKING_URI": self.server.uri},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _run_and_disturb(self) -> None:
        process = self.process = self._start("run")
        deadline = time.monotonic() + RUN_TIMEOUT_S
        while process.poll() is None and time.monotonic() < deadline:
            try:
                process.wait(self.dice.uniform(2, 45))
            except subprocess.TimeoutExpired:
                self.note_epochs()
                self.dice.choice(FAULTS)(self)
        if process.poll() is None:
            self.verdict.fault("sweeps that hung", 1, f"for {RUN_TIMEOUT_S} s")
            kill_marked(self.mark)
        code = process.wait()
        self.verdict.ends[EXIT_CODES.get(code, str(code))] += 1
        last = (self.folder / "log").read_text(errors="replace").splitlines()[-1:]
        self.verdict.fault("unexpected exit codes", code not in EXIT_CODES, f"{code} {last}")
        self.note_epochs()

    def _judge_as_it_stands(self) -> None:
        """Put the server right, `sync` twice, and look whether MLflow shows the records."""
        self.put_server_right()
        for _ in range(2):
            code = self._start("sync").wait(RUN_TIMEOUT_S)
            nothing_yet = code == 2 and not self.records()
            what = f"`sync`: {code}"
            self.verdict.fault("unexpected exit codes", code != 0 and not nothing_yet, what)
            if nothing_yet:
                return
        through = self._is_through(self.records())
        judge_store(self.verdict, self.folder / "server.db", self.records(), through=through)

    def _is_through(self, wanted: Records) -> bool:
        records = self.records()
        return all(records.get(trial_id, {}).get("outcome") for trial_id in wanted)

    def send(self, number: signal.Signals) -> None:
        """Send the driver a signal."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(number)
