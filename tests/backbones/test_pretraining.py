"""The bundled backbone's training: a resumed run ends with the same bits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from fedmed import cli, pretrain
from fedmed.backbones import pretraining
from fedmed.backbones.backbone import load
from fedmed.backbones.pretraining import Stage, one_cycle, public_xrays
from fedmed.data.public_cohort import public_patients
from fedmed.errors import UserError

STAGES, BATCH = (Stage(32, 1), Stage(48, 2)), 8
Tensors = dict[str, torch.Tensor]


class Killed(BaseException):
    """Stands in for a kill: nobody catches it."""


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pretrain, "STAGES", STAGES)
    monkeypatch.setattr(pretrain, "BATCH", BATCH)


def run(
    folder: Path | None, *, images: int = 20, seed: int = 3, precision: str = "bf16"
) -> Tensors:
    """Six of the images are simulated, and four of those take part in an epoch."""
    pixels = np.random.default_rng(0).integers(0, 256, (images, 224, 224), np.uint8)
    return pretraining.pretrain(
        pixels,
        torch.arange(images) % 2,
        STAGES,
        seed=seed,
        simulated=6,
        precision=precision,
        batch_size=BATCH,
        resume=folder,
    )


@pytest.fixture(scope="module")
def whole() -> Tensors:
    return run(None)


def killed_after(epochs: int, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keep = pretraining._keep

    def keep_or_die(network, optimizer, epoch, folder, identity) -> None:  # type: ignore[no-untyped-def]
        keep(network, optimizer, epoch, folder, identity)
        if epoch == epochs:
            raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(pretraining, "_keep", keep_or_die)
        run(folder)


@pytest.mark.parametrize("epochs", [1, 2])
def test_resumed_after_a_kill_it_ends_with_the_same_bits(
    epochs: int, whole: Tensors, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed_after(epochs, tmp_path, monkeypatch)
    resumed = run(tmp_path)
    assert resumed.keys() == whole.keys()
    assert [name for name in whole if not torch.equal(whole[name], resumed[name])] == []


def test_progress_of_another_run_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed_after(1, tmp_path, monkeypatch)
    with pytest.raises(UserError, match="another --seed"):
        run(tmp_path, seed=4)
    with pytest.raises(UserError, match="--precision"):
        run(tmp_path, precision="fp32")
    with pytest.raises(UserError, match="other images"):
        run(tmp_path, images=22)
    progress = tmp_path / "pretrain.partial.safetensors"
    progress.write_bytes(progress.read_bytes()[:1000])
    with pytest.raises(UserError, match="delete it to start anew"):
        run(tmp_path)


def test_fewer_images_than_a_step_takes_are_refused() -> None:
    with pytest.raises(UserError, match="6 images are too few"):
        run(None, images=11)


def test_an_epoch_shows_every_real_image_and_a_fresh_draw_of_the_simulated() -> None:
    first, second = (
        pretraining._order(12, 9, 3, torch.Generator().manual_seed(seed)) for seed in (1, 2)
    )
    for order in (first, second):
        assert sorted(order[order < 12].tolist()) == list(range(12))
        assert len(order.unique()) == len(order) == 15
    assert not torch.equal(first, second)
    assert set(first[first >= 12].tolist()) != set(second[second >= 12].tolist())


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder in the public data set's layout: 8 patients of the cohort, 4 others."""
    public = [key.partition("-")[2] for key in sorted(public_patients()) if key[:5] == "virus"]
    others = [str(n) for n in range(1, 2000) if f"virus-{n}" not in public_patients()]
    root = tmp_path / "data"
    for folder, numbers in (
        ("train/PNEUMONIA", public[:8] + others[:4]),
        ("train/NORMAL", ["1"]),
        ("test/PNEUMONIA", ["1"]),
        ("test/NORMAL", ["2"]),
    ):
        (root / folder).mkdir(parents=True)
        for number in numbers:
            path = root / folder / f"person{number}_virus_{number}.png"
            Image.new("L", (40, 40), int(number) % 256).save(path)
    return root


def test_only_the_public_cohort_and_simulated_patients_take_part(data: Path) -> None:
    xrays = public_xrays(data, 3)
    assert len(xrays) == 8 + 3
    assert {x.patient for x in xrays[:8]} <= public_patients()
    assert all(x.patient.startswith("sim-") for x in xrays[8:])


def command(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr("sys.argv", ["pretrain", *arguments])
    return cli.run(pretrain.main)


def test_the_command_writes_a_backbone_that_opens_and_cleans_up(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "backbone"
    output.mkdir()
    (output / "backbone-of-before.safetensors").write_bytes(b"stale")
    (output / "backbone_notes.txt").write_bytes(b"mine")
    (output / "backbone").mkdir()
    arguments = ("--data", str(data), "--output", str(output), "--simulated", "4")
    assert command(monkeypatch, *arguments) == 0
    backbone = load(str(output))
    assert backbone.public_cohort
    assert "8 X-rays of the public cohort and 4 simulated" in backbone.origin["source"]
    assert all(path.name.startswith("backbone") for path in output.iterdir())
    assert not (output / "backbone-of-before.safetensors").exists()
    assert (output / "backbone_notes.txt").exists() and (output / "backbone").is_dir()
    assert backbone.sha256[:16] in capsys.readouterr().out


def test_data_without_the_public_cohort_are_refused_before_anything_is_written(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in (data / "train/PNEUMONIA").iterdir():
        path.rename(path.with_name(f"anonymous-{path.name}"))
    output = tmp_path / "backbone"
    assert command(monkeypatch, "--data", str(data), "--output", str(output)) == 2
    assert "person12_virus_46.jpeg" in capsys.readouterr().err
    assert not output.exists()


def test_a_folder_that_cannot_be_replaced_is_refused_before_the_training(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "backbone"
    (output / "backbone.safetensors").mkdir(parents=True)
    monkeypatch.setattr(pretraining, "pretrain", None)
    assert command(monkeypatch, "--data", str(data), "--output", str(output)) == 2
    assert "backbone.safetensors is a folder" in capsys.readouterr().err


def test_help_reads_well_at_80_columns(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as ended:
        command(monkeypatch, "--help")
    text = capsys.readouterr().out
    assert ended.value.code == 0
    assert max(map(len, text.splitlines())) <= 80
    for word in ("--data", "--output", "--simulated", "--seed", "1500", "build/backbone"):
        assert word in text


@pytest.mark.parametrize(
    "bad", ["--simulated=-1", "--simulated=10000", "--seed=-1", "--seed=2147483648", "--sed=1"]
)
def test_bad_values_are_refused(
    bad: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        command(monkeypatch, "--data", "x", bad)
    assert ended.value.code == 2
    assert bad.partition("=")[0] in capsys.readouterr().err


def test_the_learning_rate_rises_once_and_ends_at_nothing() -> None:
    factors = [one_cycle(step / 100) for step in range(101)]
    assert max(factors) == pytest.approx(factors[20]) == pytest.approx(1.0)
    assert factors[:21] == sorted(factors[:21])
    assert factors[20:] == sorted(factors[20:], reverse=True)
    assert factors[100] == pytest.approx(0.0)
