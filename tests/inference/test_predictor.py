from __future__ import annotations

import json
import math
import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.models import resnet18
from torchvision.transforms import v2

from fedmed.backbones.backbone import Backbone
from fedmed.errors import ImageError
from fedmed.imaging.preprocessing import to_grey, to_input, to_pixels
from fedmed.inference import out_of_distribution
from fedmed.inference.predictor import Predictor, agreement
from fedmed.inference.warnings import IN_COLOUR, UNLIKE
from fedmed.snapshot.manifest import seal
from fedmed.snapshot.reader import Snapshot
from fedmed.task import CLASSES, IMAGENET_MEAN, IMAGENET_STD
from fedmed.uploads.decode import decode_upload
from tests.support.reports import MODELS


def image(seed: int, size: tuple[int, int] = (300, 260)) -> Image.Image:
    """A smooth random picture."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 6)).astype(np.uint8)
    return Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)


@pytest.fixture(scope="module")
def snapshot(snapshot_folder) -> Snapshot:
    return Snapshot.open(snapshot_folder)


@pytest.fixture(scope="module")
def predictor(snapshot) -> Predictor:
    return Predictor(snapshot)


@pytest.fixture(scope="module")
def predictions(predictor):
    return [predictor.predict_image(image(seed)) for seed in range(4)]


def torchvision_probabilities(snapshot: Snapshot, model: str, picture: Image.Image) -> list[float]:
    """The same answer from torchvision alone."""
    network = resnet18(num_classes=2)
    network.load_state_dict(snapshot.state(model), strict=False)
    transform = v2.Compose(
        [v2.ToImage(), v2.ToDtype(torch.float32, scale=True), v2.Normalize([0], [1])]
    )
    grey = transform(picture.resize((224, 224), Image.Resampling.BILINEAR))
    inputs = v2.Normalize(IMAGENET_MEAN, IMAGENET_STD)(grey.expand(3, -1, -1))[None]
    with torch.inference_mode():
        return network.eval()(inputs)[0].softmax(0).tolist()


@pytest.mark.parametrize("model", ["central", "federated", "hospital_4"])
def test_probabilities_are_those_of_plain_torchvision(snapshot, predictions, model):
    for seed, prediction in enumerate(predictions):
        expected = torchvision_probabilities(snapshot, model, image(seed))
        assert list(prediction.probabilities[model].values()) == pytest.approx(expected, abs=1e-4)


def test_the_random_models_tell_pictures_apart_so_that_these_tests_can_fail(predictions):
    for model in MODELS:
        found = [prediction.probabilities[model]["PNEUMONIA"] for prediction in predictions]
        assert max(found) - min(found) > 0.02
    assert {label for prediction in predictions for label in prediction.labels.values()} == set(
        CLASSES
    )


def test_the_mean_of_the_evidence_is_the_logit(predictions):
    for prediction in predictions:
        for model, evidence in prediction.evidence.items():
            assert evidence.shape == (7, 7) and evidence.dtype == np.float32
            logit = math.log(prediction.probabilities[model]["PNEUMONIA"])
            logit -= math.log(prediction.probabilities[model]["NORMAL"])
            assert float(evidence.astype(np.float64).mean()) == pytest.approx(logit, abs=1e-6)
            assert evidence.std() > 0


def test_a_temperature_moves_probabilities_and_thresholds_and_no_label(snapshot, predictions):
    config = json.loads(json.dumps(snapshot.config))
    config["models"]["federated"] |= {"temperature": 2.5}
    config["models"]["hospital_1"] |= {"temperature": 0.4, "threshold": {"value": 0.3, "rule": ""}}
    untouched = json.loads(json.dumps(config))
    for about in untouched["models"].values():
        about.pop("temperature", None)
    scaled, plain = (
        Predictor(Snapshot(snapshot.folder, each)).predict_image(image(1))
        for each in (config, untouched)
    )
    assert scaled.labels == plain.labels
    for model, temperature in (("federated", 2.5), ("hospital_1", 0.4), ("central", 1)):
        for found, raw in (
            (scaled.probabilities[model]["PNEUMONIA"], plain.probabilities[model]["PNEUMONIA"]),
            (scaled.thresholds[model], plain.thresholds[model]),
        ):
            assert math.log(found / (1 - found)) == pytest.approx(
                math.log(raw / (1 - raw)) / temperature, abs=1e-6
            )
        np.testing.assert_array_equal(scaled.evidence[model], plain.evidence[model])


def test_probabilities_sum_to_one(predictions):
    for prediction in predictions:
        for found in prediction.probabilities.values():
            assert list(found) == list(CLASSES)
            assert abs(sum(found.values()) - 1) < 1e-9


def test_each_model_is_held_to_its_own_threshold(snapshot):
    config = json.loads(json.dumps(snapshot.config))
    probability = (
        Predictor(snapshot).predict_image(image(0)).probabilities["federated"]["PNEUMONIA"]
    )
    for threshold, label in ((probability, "PNEUMONIA"), (probability + 1e-9, "NORMAL")):
        config["models"]["federated"]["threshold"]["value"] = threshold
        prediction = Predictor(Snapshot(snapshot.folder, config)).predict_image(image(0))
        assert prediction.labels["federated"] == label
        assert prediction.thresholds["federated"] == threshold
        assert prediction.thresholds["central"] == 0.5


def test_the_pixels_are_what_the_backbone_saw(predictions):
    expected = np.asarray(image(0).resize((224, 224), Image.Resampling.BILINEAR))
    assert np.array_equal(predictions[0].pixels, expected)


def test_agreement_names_the_majority_and_who_dissents():
    labels = dict.fromkeys(MODELS, "PNEUMONIA") | {"hospital_2": "NORMAL", "central": "NORMAL"}
    assert agreement(labels) == {
        "label": "PNEUMONIA",
        "agree": 5,
        "of": 7,
        "dissenting": ["central", "hospital_2"],
    }


def test_a_tie_goes_to_the_first_model():
    labels = {"central": "NORMAL", "hospital_1": "PNEUMONIA"}
    assert agreement(labels)["label"] == "NORMAL"
    assert agreement(labels)["dissenting"] == ["hospital_1"]


def test_threads_that_share_a_panel_get_the_same_answers(predictor, predictions):
    with ThreadPoolExecutor(4) as pool:
        again = list(pool.map(lambda seed: predictor.predict_image(image(seed % 4)), range(12)))
    for number, prediction in enumerate(again):
        expected = predictions[number % 4].probabilities
        for model, found in prediction.probabilities.items():
            assert found == pytest.approx(expected[model], abs=1e-6)


def encoded(picture: Image.Image) -> bytes:
    buffer = BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def coloured_file() -> bytes:
    picture = Image.new("RGB", (64, 64), (200, 80, 40)).rotate(45)
    picture.paste((40, 80, 200), (20, 20, 40, 40))
    return encoded(picture)


def test_a_file_in_colour_is_read_with_a_warning(predictor):
    prediction = predictor.predict(decode_upload(coloured_file()))
    assert prediction.warnings == [IN_COLOUR]


def test_statistics_in_a_snapshot_are_used_to_warn(snapshot, predictions, tmp_path, monkeypatch):
    monkeypatch.setattr(out_of_distribution, "AXES", {"roots": 3, "layout": 3})
    folder = shutil.copytree(snapshot.folder, tmp_path / "snapshot")
    pixels = np.stack([to_pixels(image(seed)) for seed in range(12)])
    features = snapshot.backbone.features(to_input(to_grey(pixels)))
    out_of_distribution.save(out_of_distribution.fit(features, features, pixels, pixels), folder)
    seal(folder, {key: value for key, value in snapshot.config.items() if key != "files"})
    predictor = Predictor(Snapshot.open(folder))
    assert [predictor.predict_image(image(seed)).warnings for seed in range(4)].count([]) >= 2
    assert all(prediction.warnings == [] for prediction in predictions)
    noise = np.random.default_rng(0).integers(0, 256, (224, 224)).astype(np.uint8)
    assert predictor.predict_image(Image.fromarray(noise)).warnings == [UNLIKE]


def test_xrays_that_arrive_together_share_a_pass_and_keep_their_answers(
    snapshot, predictions, monkeypatch
):
    run = snapshot.backbone.ready()
    sizes, first, go = [], threading.Event(), threading.Event()

    def passed(inputs):
        sizes.append(len(inputs))
        first.set()
        assert go.wait(60)
        return run(inputs)

    monkeypatch.setattr(Backbone, "ready", lambda backbone: passed)
    predictor = Predictor(snapshot)
    files = [encoded(image(seed)) for seed in range(4)]

    def predict(data):
        return predictor.predict(decode_upload(data))

    with ThreadPoolExecutor(8) as pool:
        early = pool.submit(predict, files[0])
        assert first.wait(60)
        late = [pool.submit(predict, data) for data in (*files[1:], b"no image", *files)]
        with pytest.raises(ImageError):
            late[3].result(60)
        while len(predictor._batched._waiting) < 7:
            time.sleep(0.002)
        go.set()
    assert sizes == [1, 7]
    good = [early, *late[:3], *late[4:]]
    for number, done in enumerate(good):
        expected, prediction = predictions[number % 4], done.result()
        assert prediction.labels == expected.labels
        for model, found in prediction.probabilities.items():
            assert found == pytest.approx(expected.probabilities[model], abs=1e-6)
        assert np.array_equal(prediction.pixels, expected.pixels)
