"""A coordinator's server from its start to the end of one federation."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

from fedmed.backbones.backbone import load
from fedmed.errors import UserError
from fedmed.flower import keys as keys_module
from fedmed.flower import snapshot
from fedmed.flower.follow import Follow
from fedmed.flower.options import Options
from fedmed.flower.processes import Processes
from fedmed.flower.record import FILE as RECORD
from fedmed.flower.record import Record
from fedmed.flower.superlink import SuperLink, environment
from fedmed.progress import say, step


def serve(options: Options, keys: Path, host: str, port: int) -> None:
    """Start a SuperLink, register the hospitals, run the federation, stop everything, and write a
    snapshot of what came of it.

    Raises:
        UserError: keys are missing, or the federation did not end as it should.
    """
    for name in (keys_module.CA, keys_module.SERVER, keys_module.SERVER_KEY):
        if not (keys / name).is_file():
            raise UserError(
                f"--keys {keys}: {name} is missing; python -m fedmed.federation_keys makes it"
            )
    options = replace(options, output=str(Path(options.output).absolute()))
    folder = options.folder
    home = folder / "superlink"
    with Processes(folder / "logs", environment(home)) as processes:
        with step("Starting Flower's server"):
            link = SuperLink(processes, keys, home, host, port)
            names = link.register()
        say(f"Listening on {link.address}. Registered: {', '.join(names) or 'nobody'}.")
        link.run({name.replace("_", "-"): value for name, value in asdict(options).items()})
        say("The federation begins: hospitals are asked to join as they come.")
        Follow(processes, "run", prefix="").until_ended()
    record = Record.load(folder)
    if record is None or not record.finished:
        raise UserError(
            f"the federation did not end: {folder / 'logs'} says why; the same command goes on "
            "after the last round"
        )
    with step("Writing a snapshot"):
        place = snapshot.write(folder, load(options.backbone))
    if place:
        print(snapshot.how_to_look(place))
    else:
        say(
            "No snapshot: no one network is all hospitals'. Each has its own in federated/ in its "
            f"--home; what they counted is in {folder / RECORD}."
        )
