"""The options of train.py: defaults as promised, and every mistake named."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest

from fedmed.experiment import choices
from fedmed.experiment.settings import Settings, parse

PROMISED = {
    "data": "hf-vision/chest-xray-pneumonia",
    "backbone": "imagenet",
    "output": Path("snapshot"),
    "patients": None,
    "classes": None,
    "allow_overlap": False,
    "push_to": None,
    "private": False,
    "hospitals": 5,
    "rounds": 20,
    "local_epochs": 3,
    "epochs": 10,
    "batch_size": 64,
    "learning_rate": 1e-3,
    "views": 4,
    "partition": "label-skew",
    "alpha": 0.5,
    "algorithm": "fedavg",
    "participation": 1.0,
    "drop_out": 0.0,
    "poison": None,
    "quantize": "none",
    "epsilon": None,
    "delta": 1e-5,
    "secure_aggregation": False,
    "audit": False,
    "study": False,
    "personalise": None,
    "keep_sums": False,
    "recipe": "auto",
    "seed": 42,
    "examples": 12,
    "lab": False,
    "device": "auto",
    "deterministic": False,
    "resume": False,
    "demo": False,
    "train": "head",
    "batch_norm": "average",
    "size": 128,
    "workers": None,
}
# With --train network.
OF_NETWORKS = {"rounds": 5, "epochs": 15, "batch_size": 32, "learning_rate": 3e-4}


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as ended:
        parse(arguments)
    assert ended.value.code == 2
    output = capsys.readouterr()
    assert output.out == ""
    return output.err.split("error: ")[1]


def test_defaults_are_the_promised_ones() -> None:
    assert dataclasses.asdict(parse([])) == PROMISED


def test_networks_have_defaults_of_their_own_and_as_many_epochs_centrally() -> None:
    assert dataclasses.asdict(parse(["--train=network"])) == (
        PROMISED | {"train": "network"} | OF_NETWORKS
    )
    assert parse(["--train=network", "--rounds=4", "--local-epochs=2"]).epochs == 8
    assert parse(["--train=network", "--rounds=4", "--epochs=7"]).epochs == 7
    assert not parse(["--train=network", "--demo"]).lab
    demo = parse(["--train=network", "--demo"])
    assert (demo.data, demo.size, demo.epochs) == ("simulated", 64, 10)


def test_what_decides_a_run_of_networks_is_told_and_nothing_of_them_in_others() -> None:
    networks = parse(["--train=network", "--workers=3"]).of_the_run()
    assert (networks["train"], networks["size"], networks["batch_norm"]) == (
        "network", 128, "average",
    )  # fmt: skip
    assert "workers" not in networks, "it changes nothing of the result"
    assert not {"train", "size", "batch_norm", "workers"} & set(parse([]).of_the_run())


def test_every_option_is_read() -> None:
    given = {
        "data": "simulated",
        "patients": r"p(\d+)_",
        "classes": "bacterial=PNEUMONIA,lateral=",
        "backbone": "bundled",
        "output": Path("elsewhere"),
        "push_to": "alice/fedmed.1",
        "hospitals": 3,
        "rounds": 2,
        "local_epochs": 1,
        "epochs": 4,
        "batch_size": 16,
        "learning_rate": 0.01,
        "views": 2,
        "partition": "dirichlet",
        "alpha": 0.3,
        "algorithm": "fedadam",
        "participation": 0.5,
        "drop_out": 0.1,
        "poison": "sign-flip",
        "quantize": "int8",
        "recipe": "robust",
        "seed": 0,
        "examples": 0,
        "device": "cpu",
    }
    arguments = [f"--{name.replace('_', '-')}={value}" for name, value in given.items()]
    settings = parse([*arguments, "--private", "--resume", "--allow-overlap", "--audit"])
    assert dataclasses.asdict(settings) == PROMISED | given | dict.fromkeys(
        ("private", "resume", "allow_overlap", "audit"), True
    )


def test_help_reads_well_at_80_columns(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as ended:
        parse(["--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 80
    told = " ".join(text.split())
    for name, default in PROMISED.items():
        assert f"--{name.replace('_', '-')}" in told
        if default is not None and not isinstance(default, bool):
            other = f"; {OF_NETWORKS[name]} of networks" if name in OF_NETWORKS else ""
            assert f"[{default}{other}]" in told, name


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("--partition=random", ["--partition", "label-skew", "dirichlet", "quantity-skew", "iid"]),
        ("--quantize=int4", ["--quantize", "none", "fp16", "int8"]),
        ("--algorithm=fedsgd", ["--algorithm", "fedavg", "fedprox", "fedadam"]),
        ("--train=all", ["--train", "head", "network"]),
        ("--size=128", ["--size", "--train network"]),
        ("--batch-norm=local", ["--batch-norm", "--train network"]),
        ("--workers=2", ["--workers", "--train network"]),
        ("--algorithm=krum --hospitals=9 --participation=0.2", ["krum", "--participation 0.2"]),
        ("--train=network --views=2", ["--views", "--train head"]),
        ("--train=network --size=32", ["--size", "from 64 to 224"]),
        ("--train=network --algorithm=scaffold", ["scaffold", "fedavg", "--train head"]),
        ("--train=network --algorithm=ridge", ["ridge", "frozen backbone", "--train head"]),
        ("--recipe=best", ["--recipe", "auto", "mission", "robust"]),
        ("--hospitals=0", ["--hospitals", "'0'", "from 1 to 10000"]),
        ("--hospitals=five", ["--hospitals", "'five'"]),
        ("--rounds=-1", ["--rounds", "from 1"]),
        ("--epochs=2.5", ["--epochs", "whole number"]),
        ("--batch-size=1000000000", ["--batch-size", "from 1 to 10000"]),
        ("--views=0", ["--views", "from 1"]),
        ("--views=10001", ["--views", "to 10000"]),
        ("--learning-rate=0", ["--learning-rate", "above 0"]),
        ("--learning-rate=nan", ["--learning-rate", "'nan'"]),
        ("--learning-rate=inf", ["--learning-rate", "at most"]),
        ("--partition=dirichlet --alpha=-1", ["--alpha", "above 0"]),
        ("--seed=-1", ["--seed", "'-1'", "from 0"]),
        ("--examples=201", ["--examples", "to 200"]),
        ("--push-to=fedmed", ["--push-to", "'fedmed'", "USER/REPO"]),
        ("--push-to=a/b/c", ["--push-to", "USER/REPO"]),
        ("--patients=p[0-9]+", ["--patients", "has no group", "round brackets"]),
        ("--patients=(", ["--patients", "no regular expression"]),
        ("--classes=COVID", ["--classes", "'COVID'", "NAME=CLASS", "NORMAL, PNEUMONIA"]),
        ("--classes=a=COVID", ["--classes", "'a=COVID'", "NORMAL, PNEUMONIA"]),
        ("--classes=a=NORMAL,A=PNEUMONIA", ["--classes", "'A'", "two classes"]),
        ("--hospital=3", ["--hospital=3"]),
        ("--data", ["--data", "expected one argument"]),
        ("snapshot", ["snapshot"]),
    ],
)
def test_a_bad_option_or_value_is_named_with_what_is_allowed(
    arguments: str, told: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    message = refused(capsys, *arguments.split())
    for words in told:
        assert words in message


def test_options_that_do_not_go_together(capsys: pytest.CaptureFixture[str]) -> None:
    assert "--push-to" in refused(capsys, "--private")
    assert "--partition dirichlet" in refused(capsys, "--alpha=0.3")
    assert "leave out --demo" in refused(capsys, "--demo", "--data=DIR")
    assert "leave out --demo" in refused(capsys, "--demo", "--backbone=bundled")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("--delta=1e-6", "--delta needs --epsilon"),
        ("--epsilon=3 --algorithm=newton", "--epsilon works with --algorithm fedavg"),
        ("--secure-aggregation --quantize=int8", "leave out --quantize int8"),
        ("--secure-aggregation --hospitals=2", "from 3 to 200 hospitals, not 2"),
        ("--secure-aggregation --hospitals=201", "from 3 to 200 hospitals, not 201"),
        ("--secure-aggregation --algorithm=krum", "needs every hospital's update"),
    ],
)
def test_what_cannot_be_protected_is_refused_in_words(
    arguments: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert told in " ".join(refused(capsys, *arguments.split()).split())


def test_protected_runs_say_so() -> None:
    run = parse(["--epsilon=3", "--secure-aggregation"])
    assert run.format == "masked"
    told = run.of_the_run()
    assert (told["epsilon"], told["delta"], told["secure_aggregation"]) == (3.0, 1e-5, True)
    assert not {"epsilon", "delta", "secure_aggregation", "audit"} & set(parse([]).of_the_run())


def test_what_may_be_protected_is_what_can_be() -> None:
    from fedmed.federated.algorithms import ALGORITHMS
    from fedmed.privacy.secure_aggregation import FEWEST, MOST

    assert choices.SECURE_HOSPITALS == (FEWEST, MOST)
    assert set(choices.NEED_THREE) == {n for n, kind in ALGORITHMS.items() if not kind.additive}
    assert set(choices.PRIVATE) <= set(ALGORITHMS)


@pytest.mark.parametrize(("hospitals", "rounds"), [(1000, 1100), (150, 10_000), (5000, 100)])
def test_a_report_too_large_to_be_read_is_refused(
    hospitals: int, rounds: int, capsys: pytest.CaptureFixture[str]
) -> None:
    parse([f"--hospitals={hospitals // 2}", f"--rounds={rounds}"])
    told = refused(capsys, f"--hospitals={hospitals * 2}", f"--rounds={rounds}")
    assert f"--hospitals {hospitals * 2}" in told and f"--rounds {rounds}" in told


def test_demo_is_simulated_and_on_imagenet_and_small() -> None:
    settings = parse(["--demo", "--data=simulated", "--seed=3"])
    assert (settings.data, settings.backbone, settings.views) == ("simulated", "imagenet", 1)
    assert (settings.batch_size, settings.seed) == (16, 3)
    assert settings.lab  # these patients are nobody
    asked = parse(["--demo", "--views=2", "--batch-size=64"])
    assert (asked.views, asked.batch_size, asked.epochs) == (2, 64, settings.epochs)


@pytest.mark.parametrize(
    ("quantize", "sent"), [("none", "fp32"), ("fp16", "fp16"), ("int8", "int8")]
)
def test_the_format_sent(quantize: str, sent: str) -> None:
    assert parse([f"--quantize={quantize}"]).format == sent


def test_a_study_of_heads_has_workers_too() -> None:
    assert parse(["--study", "--workers=2"]).workers == 2


def test_an_unfinished_run_is_kept_beside_its_output() -> None:
    assert parse(["--output=a/b/"]).partial == Path("a/b.partial")


def test_the_run_tells_no_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "clinic" / "xrays").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    for data in (str(tmp_path / "clinic" / "xrays"), "clinic/xrays", "./clinic/../clinic/xrays"):
        settings = parse([f"--data={data}", f"--backbone={tmp_path}/mine.safetensors"])
        told = settings.of_the_run()
        assert (told["data"], told["backbone"]) == ("xrays", "mine.safetensors")
        assert str(tmp_path) not in json.dumps(told)


def test_names_that_are_no_paths_are_told_whole() -> None:
    told = parse([]).of_the_run()
    assert (told["data"], told["backbone"]) == ("hf-vision/chest-xray-pneumonia", "imagenet")
    assert parse(["--backbone=torchvision"]).of_the_run()["backbone"] == "torchvision"
    assert parse(["--demo"]).of_the_run()["data"] == "simulated"


def test_what_does_not_change_the_result_is_left_out() -> None:
    plain = parse([]).of_the_run()
    other = parse(["--output=x", "--push-to=a/b", "--private", "--resume", "--device=cpu"])
    assert other.of_the_run() == plain
    assert parse(["--seed=1"]).of_the_run() != plain


def test_how_the_data_were_read_is_told_where_it_was_asked_for() -> None:
    plain = parse([]).of_the_run()
    asked = ["--patients=/home/ann/who.csv", "--classes=healthy=NORMAL", "--allow-overlap"]
    added = {"patients": "who.csv", "classes": "healthy=NORMAL", "allow_overlap": True}
    asked.append("--deterministic")
    added["deterministic"] = True
    assert parse(asked).of_the_run() == plain | added
    assert not added.keys() & plain.keys()


def test_settings_made_in_code_are_the_same() -> None:
    assert Settings(seed=3) == parse(["--seed=3"])


def test_the_names_that_options_choose_from_are_those_there_are() -> None:
    from fedmed.backbones.backbone import NAMES
    from fedmed.federated import algorithms
    from fedmed.training import recipe

    assert tuple(algorithms.ALGORITHMS) == choices.ALGORITHMS
    assert tuple(recipe.RECIPES) == choices.RECIPES
    assert choices.BACKBONES == NAMES


def test_help_and_mistakes_do_not_wait_for_torch() -> None:
    code = (
        "import sys, train; from fedmed.experiment.settings import parse\ntry: parse(['--help'])\n"
    )
    code += "except SystemExit: sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
