"""A data set from a Hub over loopback, through the real `datasets` library."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from fedmed import data
from fedmed.data.hub import SPLITS, read_hub
from fedmed.errors import UserError
from fedmed.hub.failures import HubError
from fedmed.task import DATASET
from tests.support.hub_server import HubServer, serve_parquet_dataset

REPO = "alice/tiny-xrays"
CLASSES = ["NORMAL", "PNEUMONIA"]
Rows = dict[str, list[tuple[bytes, str, int]]]


@pytest.fixture(autouse=True)
def endpoint(hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """`datasets` keeps settings of its own: another cache and the same Hub."""
    monkeypatch.setattr(datasets.config, "HF_ENDPOINT", hub.url)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "datasets"))
    monkeypatch.setattr(datasets.config, "HF_UPDATE_DOWNLOAD_COUNTS", False)
    bars = datasets.are_progress_bars_disabled()
    yield
    if not bars:
        datasets.enable_progress_bars()


def png(level: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (40, 40), level).save(buffer, "PNG")
    return buffer.getvalue()


def rows(classes: list[str] = CLASSES) -> Rows:
    normal, pneumonia = (classes.index(name) for name in CLASSES)
    return {
        "train": [
            (png(10), "NORMAL-115-0001.jpeg", normal),
            (png(20), "VIRUS-7-0002.jpeg", pneumonia),
        ],
        "test": [
            (png(30), "NORMAL-1-0001.jpeg", normal),
            (png(40), "BACTERIA-9-0003.jpeg", pneumonia),
        ],
        "validation": [(png(50), "IM-0002-0001.jpeg", normal)],
    }


def refusal(repo: str = REPO) -> str:
    with pytest.raises(UserError) as caught:
        read_hub(repo)
    assert f"--data {repo}" in str(caught.value)
    return str(caught.value)


def test_it_is_read_as_a_folder_would_be(hub: HubServer) -> None:
    serve_parquet_dataset(hub, REPO, rows(), CLASSES)
    cohort = data.load(REPO)
    assert [(x.name, x.label, x.patient) for x in cohort.images] == [
        ("train/NORMAL/NORMAL-115-0001.jpeg", 0, "mendeley-115"),
        ("train/PNEUMONIA/VIRUS-7-0002.jpeg", 1, "mendeley-7"),
        ("test/NORMAL/NORMAL-1-0001.jpeg", 0, "mendeley-1"),
        ("test/PNEUMONIA/BACTERIA-9-0003.jpeg", 1, "mendeley-9"),
    ]
    assert [x.load().getpixel((0, 0)) for x in cohort.images] == [10, 20, 30, 40]
    assert cohort.patients_known and not cohort.public
    assert "Left out: the split validation (1 images)." in cohort.notes
    assert cohort.source == cohort.hub_id == REPO


def test_classes_are_matched_by_name_not_by_number(hub: HubServer) -> None:
    serve_parquet_dataset(hub, REPO, rows(CLASSES[::-1]), CLASSES[::-1])
    assert [xray.label for xray in read_hub(REPO).train] == [0, 1]


def test_the_public_data_set_is_known_by_its_id(hub: HubServer) -> None:
    repo = "hf-vision/chest-xray-pneumonia"
    serve_parquet_dataset(hub, repo, rows(), CLASSES)
    cohort = read_hub(repo)
    assert cohort.about == DATASET and cohort.public


def test_equal_names_and_no_names_are_different_patients(hub: HubServer) -> None:
    content = rows()
    content["train"] = [(png(n), ("", "scan.png")[n % 2], n // 4) for n in range(8)]
    serve_parquet_dataset(hub, REPO, content, CLASSES)
    cohort = read_hub(REPO)
    assert len({xray.name for xray in cohort.train}) == 8
    assert len({xray.patient for xray in cohort.train}) == 8
    assert not cohort.patients_known


def test_other_classes_are_named(hub: HubServer) -> None:
    serve_parquet_dataset(hub, REPO, rows(), ["NORMAL", "PNEUMONIA", "COVID"])
    message = refusal()
    assert "NORMAL, PNEUMONIA, COVID" in message


def parquet(columns: dict[str, list[object]], features: datasets.Features) -> bytes:
    buffer = io.BytesIO()
    datasets.Dataset.from_dict(columns, features=features).to_parquet(buffer)
    return buffer.getvalue()


def serve(hub: HubServer, columns: dict[str, list[object]], features: datasets.Features) -> None:
    content = parquet(columns, features)
    files = {f"data/{split}-00000-of-00001.parquet": content for split in ("train", "test")}
    hub.add(REPO, files, "datasets")


IMAGE = {"bytes": png(1), "path": "a.png"}
LABEL = datasets.ClassLabel(names=CLASSES)


def test_other_columns_are_named(hub: HubServer) -> None:
    features = datasets.Features({"scan": datasets.Image(), "label": LABEL})
    serve(hub, {"scan": [IMAGE], "label": [0]}, features)
    message = refusal()
    assert "'image'" in message and "scan, label" in message


def test_an_image_column_of_something_else_is_refused(hub: HubServer) -> None:
    features = datasets.Features({"image": datasets.Value("string"), "label": LABEL})
    serve(hub, {"image": ["https://example.org/a.png"], "label": [0]}, features)
    assert "'image' (images)" in refusal()


def test_labels_that_are_not_given_are_refused(hub: HubServer) -> None:
    features = datasets.Features({"image": datasets.Image(), "label": LABEL})
    serve(hub, {"image": [IMAGE] * 4, "label": [0, 1, -1, None]}, features)
    assert "2 images of 'train' have no label" in refusal()


def test_a_split_without_a_class_is_refused(hub: HubServer) -> None:
    content = rows() | {"test": rows()["test"][:1]}
    serve_parquet_dataset(hub, REPO, content, CLASSES)
    assert "'test' holds no PNEUMONIA image" in refusal()


def test_a_missing_image_is_unreadable_as_any_other(hub: HubServer) -> None:
    features = datasets.Features({"image": datasets.Image(), "label": LABEL})
    serve(hub, {"image": [IMAGE, None], "label": [0, 1]}, features)
    with pytest.raises(UserError, match="empty"):
        read_hub(REPO).train[1].load()


def serve_path(hub: HubServer, path: str | None) -> None:
    """A data set whose second row names a file in place of an image, as `datasets` writes none."""
    schema = datasets.Features({"image": datasets.Image(), "label": LABEL}).arrow_schema
    images = [IMAGE, {"bytes": None, "path": path}]
    buffer = io.BytesIO()
    pq.write_table(pa.table({"image": images, "label": [0, 1]}, schema), buffer)
    files = {f"data/{split}-00000-of-00001.parquet": buffer.getvalue() for split in SPLITS}
    hub.add(REPO, files, "datasets")


@pytest.mark.parametrize("way", ["plain", "relative", "by way of the cache", "linked", "as a URL"])
def test_a_row_that_names_a_file_of_this_machine_is_refused(
    way: str, hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = tmp_path / "patients" / "secret.png"
    secret.parent.mkdir()
    secret.write_bytes(png(7))
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "link.png").symlink_to(secret)
    monkeypatch.chdir(tmp_path)
    path = {
        "plain": str(secret),
        "relative": "patients/secret.png",
        "by way of the cache": str(tmp_path / "cache" / ".." / "patients" / "secret.png"),
        "linked": str(tmp_path / "cache" / "link.png"),
        "as a URL": f"file://{secret}",
    }[way]
    serve_path(hub, path)
    message = refusal()
    assert "row 1 of 'train'" in message and "not from the Hub" in message
    assert "secret" not in message and "link" not in message


@pytest.mark.parametrize("path", ["none.png", "", "/", "/dev/zero", "a\0b", "x" * 5000])
def test_a_row_that_names_no_file_is_refused(path: str, hub: HubServer) -> None:
    serve_path(hub, path)
    assert "row 1 of 'train'" in refusal()


@pytest.mark.parametrize("place", ["cache", "datasets"])
def test_a_row_may_name_a_file_that_came_from_the_hub(
    place: str, hub: HubServer, tmp_path: Path
) -> None:
    """As the rows do of a data set that is a folder of images."""
    blob = tmp_path / place / "blobs" / "0123"
    blob.parent.mkdir(parents=True)
    blob.write_bytes(png(7))
    (tmp_path / place / "person1_virus_2.png").symlink_to(blob)
    serve_path(hub, str(tmp_path / place / "person1_virus_2.png"))
    xray = read_hub(REPO).train[1]
    assert xray.name == "train/PNEUMONIA/person1_virus_2.png"
    assert xray.load().getpixel((0, 0)) == 7


def test_a_file_that_a_row_names_is_looked_at_again_when_it_is_read(
    hub: HubServer, tmp_path: Path
) -> None:
    (tmp_path / "cache").mkdir()
    file = tmp_path / "cache" / "a.png"
    file.write_bytes(png(7))
    serve_path(hub, str(file))
    xray = read_hub(REPO).train[1]
    (tmp_path / "secret.png").write_bytes(png(8))
    file.unlink()
    file.symlink_to(tmp_path / "secret.png")
    with pytest.raises(UserError, match="not from the Hub"):
        xray.load()


def test_a_row_of_neither_bytes_nor_a_name_is_unreadable_as_any_other(hub: HubServer) -> None:
    serve_path(hub, None)
    with pytest.raises(UserError, match="empty"):
        read_hub(REPO).train[1].load()


def test_a_missing_split_is_named_or_drawn(hub: HubServer) -> None:
    content = rows()
    content["train"] = [(png(n), f"{n}.png", n % 2) for n in range(20)]
    del content["test"]
    serve_parquet_dataset(hub, REPO, content, CLASSES)
    cohort = read_hub(REPO)
    assert (len(cohort.train), len(cohort.test)) == (16, 4)
    content["elsewhere"] = content.pop("train")
    serve_parquet_dataset(hub, "alice/other", content, CLASSES)
    assert "no 'train' split, only" in refusal("alice/other")


def test_classes_and_patients_are_read_as_asked(hub: HubServer) -> None:
    names = ["bacterial", "lateral", "normal", "viral"]
    content = {
        split: [(png(4 * n + k), f"p{n}-{k}.png", k) for n in range(3) for k in range(4)]
        for split in ("train", "test")
    }
    serve_parquet_dataset(hub, REPO, content, names)
    assert "--classes 'bacterial=PNEUMONIA'" in refusal()
    options = {"classes": "bacterial=PNEUMONIA,viral=PNEUMONIA,lateral=", "patients": r"p(\d)-"}
    cohort = read_hub(REPO, **options)
    assert [xray.label for xray in cohort.train] == [1, 0, 1] * 3
    assert len({xray.patient for xray in cohort.train}) == 3


def test_no_such_data_set(hub: HubServer) -> None:
    message = refusal("alice/none")
    assert "does not exist, or it is private" in message


def test_a_private_data_set_without_a_token(
    hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve_parquet_dataset(hub, REPO, rows(), CLASSES)
    hub.repositories["datasets", REPO].private = True
    assert len(read_hub(REPO).train) == 2
    monkeypatch.setenv("HF_TOKEN", "")
    assert "private" in refusal()


def test_files_that_may_not_be_read_are_said_so(hub: HubServer) -> None:
    """As of a gated data set, which everybody may know of."""
    serve_parquet_dataset(hub, REPO, rows(), CLASSES)
    for method in ("GET", "HEAD"):
        hub.fail(method, "/resolve/", status=403)
    message = refusal()
    assert "could not be loaded" in message and "private" in message


def test_a_repository_without_data_is_refused(hub: HubServer) -> None:
    hub.add(REPO, {"README.md": b"nothing here yet"}, "datasets")
    assert "could not be loaded" in refusal()


def test_a_hub_that_is_away_is_said_so_in_bounded_time(hub: HubServer) -> None:
    hub.stop()
    started = time.monotonic()
    with pytest.raises(HubError, match=r"the connection to .* failed") as caught:
        read_hub(REPO)
    assert time.monotonic() - started < 30
    assert "'simulated'" in str(caught.value)
    assert caught.value.exit_status == 1


def test_what_was_fetched_before_serves_while_the_hub_is_away(hub: HubServer) -> None:
    serve_parquet_dataset(hub, REPO, rows(), CLASSES)
    before = [xray.digest for xray in read_hub(REPO).images]
    hub.stop()
    assert [xray.digest for xray in read_hub(REPO).images] == before


FAULTS = {
    "reset": ({"how": "drop"}, "failed; check the network"),
    "500": ({"status": 500}, "HTTP 500"),
    "429": ({"status": 429}, "too many requests"),
    "an hour": ({"status": 429, "headers": {"Retry-After": "3600"}}, "try again in 60 min"),
    "cut short": ({"how": "truncate"}, "failed; check the network"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.parametrize("step", ["/resolve/", "/tree/", "/revision/"])
def test_a_hub_that_dies_on_the_way_is_one_message_and_status_1(
    name: str, step: str, hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", slept.append)
    monkeypatch.setenv("HF_TOKEN", "hf_write")
    serve_parquet_dataset(hub, REPO, rows(), CLASSES)
    fault, words = FAULTS[name]
    for method in ("GET", "HEAD", "POST"):
        hub.fail(method, step, **fault)  # type: ignore[arg-type]
    with pytest.raises(HubError, match=words) as caught:
        read_hub(REPO)
    message = str(caught.value)
    assert f"--data {REPO}" in message and "'simulated'" in message and "\n" not in message
    assert "hf_write" not in message
    assert caught.value.exit_status == 1
    assert max(slept, default=0) <= 31
    hub.heal()
    assert len(read_hub(REPO).train) == 2


@pytest.mark.parametrize("step", ["/resolve/", "/tree/", "/revision/"])
def test_what_was_fetched_before_serves_where_the_hub_dies_on_the_way(
    step: str, hub: HubServer
) -> None:
    serve_parquet_dataset(hub, REPO, rows(), CLASSES)
    before = [xray.digest for xray in read_hub(REPO).images]
    for method in ("GET", "HEAD", "POST"):
        hub.fail(method, step, status=500)
    assert [xray.digest for xray in read_hub(REPO).images] == before
