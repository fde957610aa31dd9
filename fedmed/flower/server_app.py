"""Flower's ServerApp: the run's configuration to `Coordinator`, which sends over the grid."""

from __future__ import annotations

import sys

from flwr.app import Context
from flwr.serverapp import Grid, ServerApp

from fedmed.backbones.backbone import load
from fedmed.errors import UserError
from fedmed.flower.coordinator import Coordinator
from fedmed.flower.grid_wire import GridWire
from fedmed.flower.options import Options
from fedmed.progress import say

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    try:
        # How this process reaches the SuperLink, Flower tells it on its command line: where it is
        # encrypted so are the hospitals' connections, which end at the same port.
        wire = GridWire(grid, tls="--insecure" not in sys.argv)
        options = Options.of(context.run_config)
        Coordinator(options, load(options.backbone), wire).run()
    except UserError as error:
        say(f"error: {error}")
        raise SystemExit(error.exit_status) from error
