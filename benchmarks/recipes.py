"""How recipes hold up when the X-rays shift: `python -m benchmarks.recipes --data DIR`.

The official test split is known to differ from train/, and it is not looked at here. Each recipe
trains a central head; it is scored on the validation patients (blocks of consecutive patient
numbers held out of train/) as they are, and as they might look from another archive: softer,
sharper, more compressed, more tightly framed, otherwise exposed.
"""

from __future__ import annotations

import argparse
import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageFilter
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from fedmed import cli, data
from fedmed.backbones.backbone import Backbone
from fedmed.backbones.backbone import load as load_backbone
from fedmed.data.cohort import labels
from fedmed.data.decoding import decode_all
from fedmed.data.holdout import hold_out
from fedmed.data.public_cohort import public_patients
from fedmed.features.cache import FeatureCache
from fedmed.features.extract import BATCH, extract
from fedmed.features.sites import Features, TrainingSite
from fedmed.imaging.augmentation import CLEAN, View
from fedmed.imaging.preprocessing import to_grey, to_input
from fedmed.task import FEATURES
from fedmed.training.heads import new_heads, probabilities
from fedmed.training.local_training import train
from fedmed.training.optimizer import Optimisation


def _through_jpeg(image: Image.Image) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=20)
    return Image.open(buffer).convert("L")


def _tighter(image: Image.Image) -> Image.Image:
    return image.crop((12, 12, 212, 212)).resize(image.size, Image.Resampling.BILINEAR)


SHIFTS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "as it is": lambda image: image,
    "softer": lambda image: image.filter(ImageFilter.GaussianBlur(1.5)),
    "sharper": lambda image: image.filter(ImageFilter.UnsharpMask(2, 150, 0)),
    "compressed": _through_jpeg,
    "tighter": _tighter,
    "darker": lambda image: image.point(lambda level: int(255 * (level / 255) ** 1.5)),
}


def recipes(count: int, seed: int) -> dict[str, tuple[list[View], bool]]:
    """Candidates: the views trained on, and whether the classes weigh the same."""
    turned = [View("flip-rotate", number, seed) for number in range(count)]
    degraded = [View("degraded", number, seed) for number in range(count)]
    half = [view for one in degraded for view in (CLEAN, one)]
    return {
        "clean": ([CLEAN], False),
        "clean, balanced": ([CLEAN], True),
        "flip and rotation (mission)": (turned, False),
        "flip and rotation, balanced": (turned, True),
        "degraded": (degraded, False),
        "degraded, balanced": (degraded, True),
        "clean + degraded": (half, False),
        "clean + degraded, balanced (robust)": (half, True),
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.recipes", description=__doc__)
    parser.add_argument("--data", required=True, help="folder with the public data set")
    parser.add_argument("--backbone", default="bundled", help="default: %(default)s")
    parser.add_argument("--views", type=int, default=4, help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=42, help="default: %(default)s")
    parser.add_argument("--json", type=Path, default=Path("benchmarks/results/recipes.json"))
    options = parser.parse_args()

    backbone = load_backbone(options.backbone)
    public = public_patients() if backbone.public_cohort else frozenset()
    ours = [xray for xray in data.load(options.data).train if xray.patient not in public]
    training, validation = hold_out(ours, seed=options.seed)
    candidates = recipes(options.views, options.seed)
    cache = FeatureCache(backbone)
    every = list(dict.fromkeys(view for views, _ in candidates.values() for view in views))
    extract([(training, every)], backbone, cache)

    pixels = decode_all(validation)
    shifted = {name: _features(backbone, pixels, shift) for name, shift in SHIFTS.items()}
    truth, features = np.array(labels(validation)), Features(training, cache)
    print(f"validation: n = {len(validation)}, balanced accuracy / AUC in %")
    print(f"{'':36}" + "".join(f"{name:>14}" for name in SHIFTS) + f"{'mean':>14}")
    table = {}
    for name, (views, balanced) in candidates.items():
        site = TrainingSite("central", features, np.arange(len(training)), views)
        counts = torch.bincount(site.labels, minlength=2).double()
        weights = counts.sum() / (2 * counts) if balanced else torch.ones(2)
        settings = Optimisation(class_weights=(float(weights[0]), float(weights[1])))
        head = train(new_heads(1, FEATURES), [site], range(10), settings, seed=options.seed)
        row = {}
        for shift, inputs in shifted.items():
            scores = probabilities(head, inputs)[0].numpy()
            balanced_accuracy = balanced_accuracy_score(truth, scores >= 0.5)
            row[shift] = (100 * balanced_accuracy, 100 * roc_auc_score(truth, scores))
        means = np.mean(list(row.values()), axis=0)
        row["mean"] = (float(means[0]), float(means[1]))
        table[name] = row
        print(f"{name:36}" + "".join(f"{b:8.1f}/{a:5.1f}" for b, a in row.values()), flush=True)
    options.json.parent.mkdir(parents=True, exist_ok=True)
    result = {"n": len(validation), "backbone": backbone.sha256, "recipes": table}
    options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def _features(
    backbone: Backbone, pixels: np.ndarray, shift: Callable[[Image.Image], Image.Image]
) -> torch.Tensor:
    images = np.stack([np.asarray(shift(Image.fromarray(image))) for image in pixels])
    batches = [images[start : start + BATCH] for start in range(0, len(images), BATCH)]
    return torch.cat([backbone.features(to_input(to_grey(batch))) for batch in batches])


if __name__ == "__main__":
    raise SystemExit(cli.run(main))
