"""python -m fedmed.forget SNAPSHOT HOSPITAL: take a hospital out of a snapshot's models, exactly.

Of a snapshot that keeps its hospitals' sums (train.py --keep-sums), the federated model is solved
from the sums of the others. The models it is compared with are trained anew without the hospital's
X-rays, and everything is scored again.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from fedmed import cli

EXACT = 1e-4  # of the largest weight: what float32 leaves between two ways to the same head


def main(arguments: list[str] | None = None) -> int:
    """Take the hospital out and replace the snapshot. Returns the exit status."""
    options = _parser().parse_args(arguments)
    return cli.run(lambda: forget(options.snapshot, options.hospital, cli.Elsewhere.of(options)))


def forget(folder: Path, hospital: str, elsewhere: cli.Elsewhere) -> None:
    """Replace a snapshot by one that the hospital never had a part in.

    Raises:
        UserError: there is no such hospital, the snapshot keeps no sums, or these are not its
            X-rays.
    """
    from fedmed.errors import UserError
    from fedmed.experiment import sums
    from fedmed.experiment.again import forgotten, prepare_again, settings_of
    from fedmed.experiment.fit import fit
    from fedmed.experiment.save import save
    from fedmed.experiment.score import score
    from fedmed.experiment.timing import Stopwatch
    from fedmed.experiment.without import without
    from fedmed.progress import step
    from fedmed.snapshot.reader import Snapshot
    from fedmed.snapshot.replace import claim

    with claim(folder):
        snapshot = Snapshot.open(folder)
        kept = sums.read(folder)
        if hospital not in kept.hospitals:
            raise UserError(f"{folder} has no {hospital}: choose from {', '.join(kept.hospitals)}.")
        settings = settings_of(snapshot, elsewhere, aside="forget", resume=False)
        rest = without(prepare_again(settings, snapshot), hospital)
        watch = Stopwatch()
        # A study that there was is of those who were there.
        fewer = replace(settings, hospitals=len(rest.parts), study=False)
        fitted = fit(fewer, rest, watch)
        weights = fitted.optimisation.class_weights or (1.0, 1.0)
        solved = kept.without(hospital).head(weights)
        apart = float((solved.weight - fitted.federated.weight).abs().max())
        if apart > EXACT * float(solved.weight.abs().max()):
            raise UserError(
                f"the sums in {folder} are not of these X-rays: the model without {hospital} comes "
                "out otherwise from them. Nothing was changed; name the same data set."
            )
        fitted = replace(fitted, federated=solved)
        with step("Scoring every model"):
            report = score(fewer, rest, fitted, watch)
        report["recipe"]["hospitals"] = settings.hospitals  # type: ignore[typeddict-unknown-key]
        report["federation"]["forgotten"] = [*forgotten(snapshot), hospital]
        with step("Writing the snapshot"):
            save(replace(fewer, output=folder), rest, fitted, report)
    print(
        f"\n{folder} is without {hospital}. The federated model is solved from the sums of the "
        f"other {len(rest.parts)}; trained without {hospital}, it differs by {apart:.1g} at most. "
        "The others were trained anew. Hospitals behind it moved up by a number."
    )


def _parser() -> argparse.ArgumentParser:
    parser = cli.parser_of_run(
        "fedmed.forget",
        "Take a hospital out of a snapshot's models, exactly: the federated model is "
        "solved from the sums of the others, which the snapshot must keep (train.py --algorithm "
        "ridge, lda or class-means, with --keep-sums).",
    )
    parser.add_argument("hospital", metavar="HOSPITAL", help="whom to forget, as hospital_3")
    return parser


if __name__ == "__main__":
    sys.exit(main())
