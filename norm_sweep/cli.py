"""The commands of `sweep` and of `analysis`, side by side. Neither package knows of the other."""

from __future__ import annotations

from analysis.cli import app as analysis
from sweep.cli.app import app as sweep
from sweep.cli.app import create_app

app = create_app("norm-sweep")
app.registered_commands += [*sweep.registered_commands, *analysis.registered_commands]
