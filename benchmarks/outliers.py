"""How well do warnings tell X-rays from other pictures? `python -m benchmarks.outliers --data DIR`.

Radiographs of the official test split and simulated ones should pass; other pictures, none of
which set a limit, should not. Each is predicted as an upload is. Photographs are crops of five,
other medical pictures of six; phantoms and patterns are all different. X-rays the wrong
way round come last, where a warning is welcome but was not promised.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps
from scipy.stats import binomtest
from tqdm import tqdm

from benchmarks.outlier_images import KINDS, draw
from fedmed import cli, data
from fedmed.backbones.backbone import IMAGENET
from fedmed.data.cohort import Xray
from fedmed.data.simulated import FIRST_TEST, simulated_xrays
from fedmed.errors import UserError
from fedmed.imaging.augmentation import View, render
from fedmed.imaging.preprocessing import to_pixels
from fedmed.inference import out_of_distribution
from fedmed.inference.predictor import Predictor
from fedmed.report.sections import versions
from fedmed.snapshot.reader import Snapshot
from fedmed.uploads.decode import decode_upload

TURNS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "X-ray, upside down": ImageOps.flip,
    "X-ray, on its side": lambda image: image.transpose(Image.Transpose.ROTATE_90),
    "X-ray, negative": ImageOps.invert,
    "X-ray, left and right exchanged": ImageOps.mirror,
}
SEED = 7  # others were drawn while the method was made


def main() -> None:
    options = _parse()
    snapshot = Snapshot.open(options.snapshot)
    if not (snapshot.folder / out_of_distribution.FILE).exists():
        raise UserError(
            f"--snapshot {options.snapshot} holds no {out_of_distribution.FILE}; train it again."
        )
    predictor = Predictor(snapshot)
    test = data.load(options.data).test
    some = [test[index] for index in np.linspace(0, len(test) - 1, options.count).astype(int)]
    simulated = simulated_xrays("test", FIRST_TEST, options.count)
    rows = [
        row("official test split", "pass", predictor, (xray.load() for xray in test), len(test)),
        row(
            "simulated radiographs",
            "pass",
            predictor,
            (x.load() for x in simulated),
            len(simulated),
        ),
        row("X-ray, degraded view", "pass", predictor, (_degraded(x) for x in some), len(some)),
    ]
    for kind in KINDS:
        pictures = draw(kind, options.count, seed=SEED)
        rows.append(row(kind, "warn", predictor, pictures, len(pictures)))
    for name, turn in TURNS.items():
        rows.append(row(name, "either", predictor, (turn(x.load()) for x in some), len(some)))
    options.json.parent.mkdir(parents=True, exist_ok=True)
    result = {
        "snapshot": {
            "backbone": snapshot.config["backbone"]["id"],
            "quantile": out_of_distribution.QUANTILE,
            "margin": out_of_distribution.MARGIN,
        },
        "rows": rows,
        "versions": versions(),
    }
    options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def row(
    name: str, wanted: str, predictor: Predictor, pictures: Iterable[Image.Image], count: int
) -> dict[str, Any]:
    """Read pictures as uploads and print what part of them was warned about, with an interval."""
    bar = tqdm(pictures, name, count, leave=False, disable=None)
    uploads = (decode_upload(_encoded(picture)) for picture in bar)
    found = [predictor.predict(xray).warnings for xray in uploads]
    warned = sum(bool(warnings) for warnings in found)
    interval = binomtest(warned, count).proportion_ci(method="wilson")
    print(
        f"{name:32} n = {count:4}   wanted: {wanted:6}   warned {warned / count:7.1%}   "
        f"(95 %: {interval.low:.1%} to {interval.high:.1%})",
        flush=True,
    )
    return {
        "pictures": name,
        "wanted": wanted,
        "n": count,
        "warned": warned / count,
        "low": float(interval.low),
        "high": float(interval.high),
        "for_colour_alone": sum(warnings == [out_of_distribution.IN_COLOUR] for warnings in found)
        / count,
    }


def _degraded(xray: Xray) -> Image.Image:
    """As if photographed badly: the degradation that heads may be trained with, another draw."""
    view = render(View("degraded", number=10_000), to_pixels(xray.load())[None], [xray.digest])
    return Image.fromarray((view[0, 0] * 255).round().byte().numpy())


def _encoded(picture: Image.Image) -> bytes:
    buffer = BytesIO()
    picture.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.outliers", description=__doc__)
    parser.add_argument("--data", required=True, help="folder with the public data set")
    parser.add_argument("--snapshot", type=Path, default=IMAGENET, help="default: imagenet")
    parser.add_argument("--count", type=int, default=200, help="pictures of a kind (%(default)s)")
    parser.add_argument("--json", type=Path, default=Path("benchmarks/results/outliers.json"))
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(cli.run(main))
