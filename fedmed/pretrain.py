"""Make the bundled backbone: `python -m fedmed.pretrain --data DIR`.

A ResNet18 is trained from scratch on a public cohort: three in ten of the train patients
(fedmed.data.public_cohort) and simulated ones. Its classifier is thrown away; the rest is the
frozen backbone of everybody. Images grow from stage to stage, and every image is degraded as in
`imaging.augmentation.degrade`, so that sharpness, compression and markers are of no use to it.
An epoch shows every real image and a fresh draw of the simulated ones, a quarter as many.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from fedmed import cli
from fedmed.backbones.backbone import Backbone
from fedmed.backbones.pretraining import BATCH, STAGES, pretrain, progress_file, public_xrays
from fedmed.backbones.weights import write_state
from fedmed.data.decoding import decode_all
from fedmed.data.simulated import PUBLIC_LAST
from fedmed.errors import UserError

ORIGIN_ID = "fedmed-resnet18-public-cohort"


def main() -> None:
    options = _parse()
    xrays = public_xrays(options.data, options.simulated)
    try:
        options.output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--output {options.output} cannot be made ({error}).") from error
    if folders := [path for path in _files_of_before(options.output) if path.is_dir()]:
        raise UserError(f"--output {options.output}: {folders[0].name} is a folder; move it.")
    print(f"Public cohort: {len(xrays)} images, {options.simulated} of them simulated")
    pixels = decode_all(xrays)
    labels = torch.tensor([xray.label for xray in xrays])
    state = pretrain(
        pixels,
        labels,
        STAGES,
        simulated=options.simulated,
        precision=options.precision,
        batch_size=BATCH,
        seed=options.seed,
        resume=options.output,
    )
    origin = {
        "id": ORIGIN_ID,
        "public_cohort": True,
        "recipe": "robust",
        "source": (
            "python -m fedmed.pretrain: a ResNet18 trained from scratch on "
            f"{len(xrays) - options.simulated} X-rays of the public cohort and "
            f"{options.simulated} simulated ones"
        ),
    }
    backbone = Backbone(state, origin)
    for old in _files_of_before(options.output):
        old.unlink()
    write_state(backbone.state, backbone.origin, options.output)
    progress_file(options.output).unlink(missing_ok=True)
    print(f"Wrote {options.output}/backbone*.safetensors, sha256 {backbone.sha256[:16]}")
    line = cli.command("train.py", "--backbone", str(options.output), "--data", "DIR")
    print(f"Train on it with: {line}")


def _files_of_before(folder: Path) -> list[Path]:
    """What the backbone that is written replaces."""
    return sorted(folder.glob("backbone*.safetensors*"))


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m fedmed.pretrain",
        description="Make the bundled backbone: a ResNet18 trained from scratch on the public "
        "cohort (three in ten of the train patients) and on simulated radiographs. Stopped "
        "anywhere, the same command goes on after the last epoch.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--data", type=Path, required=True, metavar="DIR", help="folder with the public data set"
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("build/backbone"),
        metavar="DIR",
        help="folder for the backbone (default: %(default)s)",
    )
    parser.add_argument(
        "--simulated",
        type=int,
        default=1500,
        metavar="N",
        help="simulated images to draw from (default: %(default)s)",
    )
    parser.add_argument(
        "--precision",
        choices=("bf16", "fp32"),
        default="bf16",
        help="bf16 halves the time where the CPU has it (default: %(default)s)",
    )
    parser.add_argument(
        "--seed", type=int, default=42, metavar="N", help="of every draw (default: %(default)s)"
    )
    options = parser.parse_args()
    if not 0 <= options.simulated <= PUBLIC_LAST:
        parser.error(f"--simulated takes 0 to {PUBLIC_LAST}")
    if not 0 <= options.seed < 2**31:
        parser.error(f"--seed takes a whole number from 0 to {2**31 - 1}")
    return options


if __name__ == "__main__":
    raise SystemExit(cli.run(main, resume_hint="The same command goes on after the last epoch."))
