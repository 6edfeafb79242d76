"""A sweep under random kills, outages and restarts, held against an undisturbed one.

    python tests/e2e/chaos.py --minutes 30 --seed 7

Real processes, real signals, a real MLflow server. Ends with a verdict and exit code 0 if
nothing was lost, repeated or changed, 1 otherwise.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

GRID = Path(__file__).parents[2] / "grids" / "quickstart.yaml"
TIMES = {"timestamp_ms", "train_s", "eval_s"}
RUN_TIMEOUT_S = 900


@dataclass
class Verdict:
    """What was done to the sweeps, and what it did to them."""

    rounds: int = 0
    trials: int = 0
    done_to: Counter[str] = field(default_factory=Counter)
    epochs_lost: int = 0
    epochs_repeated: int = 0
    outcomes_missing: int = 0
    runs_missing_or_doubled: int = 0
    rows_doubled_or_missing: int = 0
    runs_left_running: int = 0
    bits_that_differ: int = 0
    foreign_lines: list[str] = field(default_factory=list)

    def faults(self) -> dict[str, int]:
        return {
            "epochs lost": self.epochs_lost,
            "epochs repeated": self.epochs_repeated,
            "trials without outcome": self.outcomes_missing,
            "MLflow runs missing or double": self.runs_missing_or_doubled,
            "metric rows missing or double": self.rows_doubled_or_missing,
            "runs left RUNNING": self.runs_left_running,
            "trials whose bits differ": self.bits_that_differ,
            "foreign lines": len(self.foreign_lines),
        }


class Server:
    """A real MLflow server over one SQLite file, which can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.uri = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        arguments = ["--host", "127.0.0.1", "--port", str(self.port), "--workers", "1"]
        store = ["--backend-store-uri", f"sqlite:///{self.folder / 'server.db'}"]
        artifacts = ["--artifacts-destination", str(self.folder / "artifacts")]
        environment = {
            **os.environ,
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "mlflow", "server", *arguments, *store, *artifacts],
            cwd=self.folder,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self.wait()

    def wait(self) -> None:
        deadline = time.monotonic() + 180
        while time.monotonic() < deadline:
            try:
                with urllib.request.urlopen(f"{self.uri}/health", timeout=2):
                    return
            except OSError:
                time.sleep(0.5)
        raise RuntimeError("the MLflow server does not come up")

    def kill(self) -> None:
        if self.process:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None


class Round:
    """One folder, one grid, run again and again until every trial has an outcome."""

    def __init__(self, folder: Path, dice: random.Random, verdict: Verdict) -> None:
        self.folder, self.dice, self.verdict = folder, dice, verdict
        shutil.copy(GRID, folder / "grid.yaml")
        self.server = Server(folder)
        self.most_epochs: dict[str, int] = {}

    def disturbed(self) -> None:
        """Run with faults until the sweep is through."""
        self.server.start()
        while not self.is_through():
            process = self.run()
            if not self.server.process:
                self.server.start()
            self.disturb(process)
            self.check_nothing_is_lost()
        self.final_sync()

    def undisturbed(self) -> None:
        self.server.start()
        assert self.run().wait(RUN_TIMEOUT_S) == 0, (self.folder / "log").read_text()

    def run(self, *command: str) -> subprocess.Popen[bytes]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW_", "RAY_"))}
        with open(self.folder / "log", "ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "sweep", *(command or ("run",)), "grid.yaml"],
                cwd=self.folder,
                env={**kept, "MLFLOW_TRACKING_URI": self.server.uri},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def disturb(self, process: subprocess.Popen[bytes]) -> None:
        """Do things to a running sweep until it has ended."""
        deadline = time.monotonic() + RUN_TIMEOUT_S
        while process.poll() is None and time.monotonic() < deadline:
            try:
                process.wait(self.dice.uniform(2, 30))
            except subprocess.TimeoutExpired:
                self.act(process)
        if process.poll() is None:
            for pid in [process.pid, *(p for p, _ in descendants(process.pid))]:
                kill(pid)
            raise RuntimeError(f"a sweep hung for {RUN_TIMEOUT_S} s")

    def act(self, process: subprocess.Popen[bytes]) -> None:
        name = self.dice.choice(
            ["driver", "worker", "worker", "raylet", "everything", "SIGINT", "SIGTERM", "MLflow"]
        )
        below = descendants(process.pid)
        chosen = {
            "driver": [process.pid],
            "worker": [p for p, what in below if what.startswith("ray::")][:1],
            "raylet": [p for p, what in below if "raylet/raylet" in what][:1],
            "everything": [process.pid, *(p for p, _ in below)],
        }.get(name)
        if name == "MLflow":
            if self.server.process:
                self.server.kill()
                self.verdict.done_to["MLflow outage"] += 1
            else:
                self.server.start()
        elif chosen is None:
            process.send_signal(getattr(signal, name))
            self.verdict.done_to[name] += 1
        elif chosen:
            for pid in chosen:
                kill(pid)
            self.verdict.done_to[f"kill -9 {name}"] += 1

    def records(self) -> dict[str, dict[str, Any]]:
        files = (self.folder / "runs" / "quickstart" / "trials").glob("*/record.json")
        return {file.parent.name: json.loads(file.read_text()) for file in files}

    def is_through(self) -> bool:
        records = self.records().values()
        return len(records) == 36 and all(record["outcome"] for record in records)

    def check_nothing_is_lost(self) -> None:
        for trial_id, record in self.records().items():
            epochs = [epoch["epoch"] for epoch in record["epochs"]]
            self.verdict.epochs_repeated += len(epochs) - len(set(epochs))
            self.verdict.epochs_lost += max(0, self.most_epochs.get(trial_id, 0) - len(epochs))
            self.most_epochs[trial_id] = len(epochs)

    def final_sync(self) -> None:
        if not self.server.process:
            self.server.start()
        self.run("sync").wait(300)

    def judge(self, truth: dict[str, dict[str, Any]]) -> None:
        """Hold records and MLflow against the undisturbed sweep."""
        records, verdict = self.records(), self.verdict
        verdict.rounds += 1
        verdict.trials += len(records)
        verdict.outcomes_missing += sum(not record["outcome"] for record in records.values())
        for trial_id, record in truth.items():
            verdict.bits_that_differ += bits(records.get(trial_id)) != bits(record)
        with sqlite3.connect(self.folder / "server.db") as store:
            runs = store.execute("select count(*) from runs").fetchone()[0]
            verdict.runs_missing_or_doubled += abs(runs - len(truth))
            running = "select count(*) from runs where status not in ('FINISHED', 'FAILED')"
            verdict.runs_left_running += store.execute(running).fetchone()[0]
            rows = store.execute("select count(*) from metrics where key='test_error'").fetchone()
            expected = sum(len(record["epochs"]) for record in truth.values())
            verdict.rows_doubled_or_missing += abs(rows[0] - expected)
        for line in (self.folder / "log").read_text().splitlines():
            if "Traceback" in line or "(raylet)" in line or "WARNING" in line:
                verdict.foreign_lines.append(line)


def bits(record: dict[str, Any] | None) -> Any:
    """What must be the same to the bit: every metric of every epoch, and the weights."""
    if record is None:
        return None
    epochs = [{k: v for k, v in epoch.items() if k not in TIMES} for epoch in record["epochs"]]
    return record["outcome"], epochs, record["weights_digest"]


def descendants(pid: int) -> list[tuple[int, str]]:
    try:
        children = psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []
    found = []
    for child in children:
        try:
            found.append((child.pid, " ".join(child.cmdline())))
        except psutil.NoSuchProcess:
            continue
    return found


def kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def report(verdict: Verdict, minutes: float) -> bool:
    print(f"{verdict.rounds} sweeps, {verdict.trials} trials, {minutes:.0f} minutes")
    for name, count in sorted(verdict.done_to.items()):
        print(f"  {name:<32} {count:>5}")
    print("what it did to them")
    for name, count in verdict.faults().items():
        print(f"  {name:<32} {count:>5}")
    print("\n".join(verdict.foreign_lines[:10]))
    return not any(verdict.faults().values())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--keep", type=Path, help="Keep the folders here.")
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    dice, verdict = random.Random(options.seed), Verdict()
    base = Path(options.keep or tempfile.mkdtemp(prefix="chaos-"))
    started = time.monotonic()
    truth = None
    while truth is None or time.monotonic() - started < 60 * options.minutes:
        folder = base / ("undisturbed" if truth is None else f"round-{verdict.rounds}")
        folder.mkdir(parents=True)
        sweep = Round(folder, dice, verdict)
        try:
            if truth is None:
                sweep.undisturbed()
                truth = sweep.records()
            else:
                sweep.disturbed()
                sweep.judge(truth)
                print(f"round {verdict.rounds}: {dict(verdict.done_to)}", flush=True)
        finally:
            sweep.server.kill()
    if not options.keep:
        shutil.rmtree(base)
    return 0 if report(verdict, (time.monotonic() - started) / 60) else 1


if __name__ == "__main__":
    sys.exit(main())
