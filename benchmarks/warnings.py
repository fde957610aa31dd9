"""What is warned about, and what changes its label unwarned? `python -m benchmarks.warnings`.

Each picture goes the way of an upload. Upright films should pass; of every other kind the share
warned about is told, and, where a kind is made of the same films, the share whose federated label
is another than the plain film's and which nothing is said of. Films are held-out patients' of
--data, which set the limits (the official test split is told as well, and chose nothing), or
simulated ones that no detector learned from. --adult names a folder with frontal films of adults.
Other kinds are drawn: photographs are crops of five, other medical pictures of six.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from scipy.stats import binomtest

from benchmarks.outlier_images import KINDS, draw
from benchmarks.warning_images import CHANGED, encoded
from fedmed import cli, data
from fedmed.backbones.backbone import IMAGENET
from fedmed.data.cohort import Xray
from fedmed.data.holdout import hold_out
from fedmed.data.layout import files_below
from fedmed.data.simulated import FIRST_TEST, simulated_xrays
from fedmed.errors import ImageError, UserError
from fedmed.inference import out_of_distribution, views
from fedmed.inference.predictor import Prediction, Predictor
from fedmed.report.sections import versions
from fedmed.simulation.lateral import lateral
from fedmed.snapshot.reader import Snapshot
from fedmed.uploads.decode import decode_upload

SEED = 7  # others were drawn while the method was made
FIRST_LATERAL = 700_000
MODEL = "federated"


def main() -> None:
    options = _parse()
    snapshot = Snapshot.open(options.snapshot)
    for name in (out_of_distribution.FILE, views.FILE):
        if not (snapshot.folder / name).exists():
            raise UserError(f"--snapshot {options.snapshot} holds no {name}; train it again.")
    bench = Bench(Predictor(snapshot))
    films = simulated = _some(simulated_xrays("test", FIRST_TEST, options.count), options.count)
    if options.data:
        films = _real(bench, snapshot, options.data, options.count)
    bench.row("simulated films", "pass", map(encoded, simulated))
    plain = [bench.predict(encoded(film)) for film in films]
    for name, (wanted, change) in CHANGED.items():
        drawn = (change(film, np.random.default_rng([SEED, n])) for n, film in enumerate(films))
        bench.row(name, wanted, drawn, plain)
    sides = (Image.fromarray(lateral(FIRST_LATERAL + n)) for n in range(options.count))
    bench.row("lateral (simulated)", "warn", map(encoded, sides))
    if options.adult:
        files = sorted(files_below(options.adult))
        bench.row("adults' films", "warn", (file.read_bytes() for file in files))
    for kind in KINDS:
        bench.row(kind, "warn", map(encoded, draw(kind, options.count, seed=SEED)))
    result = {
        "snapshot": snapshot.config["backbone"]["id"],
        "films": "real" if options.data else "simulated",
        "rows": bench.rows,
        "versions": versions(),
    }
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


class Bench:
    """What is measured, a row a kind, printed as it comes."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor
        self.rows: list[dict[str, Any]] = []

    def predict(self, data: bytes) -> Prediction | None:
        """What is said of a file; None where it is no picture that can be read."""
        try:
            return self._predictor.predict(decode_upload(data))
        except ImageError:
            return None

    def row(
        self,
        name: str,
        wanted: str,
        files: Iterable[bytes],
        plain: list[Prediction | None] | None = None,
    ) -> None:
        """Count who is warned; `plain` is what is said of the films that these are made of."""
        found = [self.predict(file) for file in files]
        pairs = zip(found, plain or [None] * len(found), strict=True)
        read = [(said, before) for said, before in pairs if said is not None]
        if not read:
            return
        warned = sum(bool(said.warnings) for said, _ in read)
        changed = sum(
            not said.warnings and before is not None and said.labels[MODEL] != before.labels[MODEL]
            for said, before in read
        )
        interval = binomtest(warned, len(read)).proportion_ci(method="wilson")
        self.rows.append(
            {
                "pictures": name,
                "wanted": wanted,
                "n": len(read),
                "warned": warned / len(read),
                "low": float(interval.low),
                "high": float(interval.high),
                "changed_unwarned": changed / len(read) if plain else None,
            }
        )
        print(
            f"{name:32} n = {len(read):4}   wanted: {wanted:6}   warned {warned / len(read):7.1%}"
            f"   label changed unwarned {f'{changed / len(read):.1%}' if plain else 'n/a':>6}",
            flush=True,
        )


def _real(bench: Bench, snapshot: Snapshot, folder: str, count: int) -> list[Image.Image]:
    """Held-out films of the snapshot's own run; those and the test split's are told as they are."""
    cohort = data.load(folder)
    _, held_out = hold_out(cohort.train, seed=int(snapshot.config["seed"]))
    for name, xrays in (("held-out films", held_out), ("official test split", cohort.test)):
        bench.row(name, "pass", (encoded(film) for film in _some(xrays, 3 * count)))
    return _some(held_out, count)


def _some(xrays: list[Xray], count: int) -> list[Image.Image]:
    places = np.linspace(0, len(xrays) - 1, min(count, len(xrays))).astype(int)
    return [xrays[place].load() for place in places]


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.warnings", description=__doc__)
    parser.add_argument("--data", help="folder with the public data set (else simulated films)")
    parser.add_argument("--adult", type=Path, help="folder with frontal films of adults")
    parser.add_argument("--snapshot", type=Path, default=IMAGENET, help="default: the bundled one")
    parser.add_argument("--count", type=int, default=100, help="pictures of a kind (%(default)s)")
    parser.add_argument("--json", type=Path, default=Path("benchmarks/results/warnings.json"))
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(cli.run(main))
