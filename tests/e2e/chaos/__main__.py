"""Sweeps under random kills, outages and restarts, held against an undisturbed one.

    make chaos MINUTES=30 SEED=7

Real processes, real signals, a real MLflow server. Ends with a verdict, and with exit code 0 if
nothing was lost, repeated or changed, 1 otherwise. Ctrl-C ends it early, with a verdict too.
"""

from __future__ import annotations

import argparse
import random
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

from chaos.disturbed_sweep import DisturbedSweep
from chaos.verdict import Records, Verdict


def main() -> int:
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--keep", type=Path, help="keep the sweeps' folders below this one")
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    for number in (signal.SIGINT, signal.SIGTERM):  # a shell ignores SIGINT in the background
        signal.signal(number, signal.default_int_handler)
    base = options.keep or Path(tempfile.mkdtemp(prefix="chaos-"))
    verdict, started = Verdict(), time.monotonic()
    try:
        _rounds(base, random.Random(options.seed), verdict, started + 60 * options.minutes)
    except KeyboardInterrupt:
        print("interrupted", flush=True)
    finally:
        if not options.keep:
            shutil.rmtree(base, ignore_errors=True)
    print(verdict.report((time.monotonic() - started) / 60))
    return 1 if any(verdict.faults.values()) or not verdict.rounds else 0


def _rounds(base: Path, dice: random.Random, verdict: Verdict, deadline: float) -> None:
    """One undisturbed sweep, then disturbed ones until it is time."""
    truth: Records | None = None
    while truth is None or time.monotonic() < deadline:
        name = "undisturbed" if truth is None else f"round-{verdict.rounds + 1}"
        sweep = DisturbedSweep(base / name, dice, verdict)
        try:
            if truth is None:
                truth = sweep.undisturbed()
                print(f"undisturbed: {len(truth)} trials", flush=True)
            else:
                sweep.disturbed(truth)
                done = sum(verdict.kills.values()), sum(verdict.outages.values())
                faults = dict(verdict.faults) or "no faults"
                print(f"{name}: {done[0]} kills, {done[1]} outages, {faults}", flush=True)
        finally:
            sweep.end()


if __name__ == "__main__":
    sys.exit(main())
