"""Lookup tables, windows, rescaling and padding, by the letter and as files break it."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("pydicom")

from pydicom.dataset import Dataset

from tests.support.dicom_files import RAMP, SHOWN, pixels, radiograph, saved, table

pytestmark = pytest.mark.filterwarnings("ignore:Invalid value for VR")

ALL = np.arange(4096)
SIGNED = RAMP.astype(np.int16) - 2048
NARROW = {"RescaleSlope": "0.0002442002", "RescaleIntercept": "0"}  # 0..4095 to 0..1
WHOLE = {"WindowCenter": 2048, "WindowWidth": 4096}


def off(shown: np.ndarray, wanted: np.ndarray) -> int:
    return int(np.abs(shown - wanted).max())


def put(data: bytes, old: str, new: str) -> bytes:
    """Other digits in a file, of the same length."""
    assert data.count(old.encode()) == 1 and len(new) == len(old)
    return data.replace(old.encode(), new.encode())


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 15, 16])
@pytest.mark.parametrize("largest", [255, 1023, 4095, 32767, 65535])
def test_a_table_shows_the_film_whatever_bits_it_declares(bits: int, largest: int) -> None:
    entries = np.rint(ALL / 4095 * largest)
    assert off(pixels(radiograph(VOILUTSequence=table(entries, bits))), SHOWN) <= 1


def test_a_table_that_uses_all_its_bits_is_not_stretched() -> None:
    entries = np.rint(ALL / 4095 * 3000)
    shown = pixels(radiograph(VOILUTSequence=table(entries, 12)))
    assert off(shown, SHOWN * 3000 / 4095) <= 1


def test_a_table_may_turn_the_film_over() -> None:
    assert off(pixels(radiograph(VOILUTSequence=table(65535 - ALL * 16, 16))), 255 - SHOWN) <= 1


@pytest.mark.parametrize("count", [4096, 4095])
def test_entries_of_eight_bits_are_read_packed_and_in_words(count: int) -> None:
    entries = (np.arange(count) // 16).astype(np.uint8)
    packed = entries.tobytes() + b"\0" * (count % 2)
    wanted = np.minimum(RAMP, count - 1) // 16
    for listed in (entries, packed, np.frombuffer(packed, "<u2"), entries.astype("<u2").tobytes()):
        sequence = table(listed, 8, count=count)
        assert off(pixels(radiograph(VOILUTSequence=sequence)), wanted) <= 1
        assert off(pixels(radiograph(ModalityLUTSequence=sequence)), SHOWN) <= 1


@pytest.mark.parametrize("kept", [4000, 1500])
@pytest.mark.parametrize(("bits", "factor"), [(12, 1), (16, 16), (16, 1)])
def test_the_last_entry_stands_for_those_that_are_missing(kept: int, bits: int, factor: int):
    sequence = table(np.arange(kept) * factor, bits, count=4096)
    wanted = np.minimum(RAMP, kept - 1) / 4095 * 255
    assert off(pixels(radiograph(VOILUTSequence=sequence)), wanted) <= 1


@pytest.mark.parametrize(("first", "kind"), [(-2048, "SS"), (65536 - 2048, "US")])
@pytest.mark.parametrize("keyword", ["VOILUTSequence", "ModalityLUTSequence"])
def test_the_first_value_of_a_table_is_signed_as_its_values_are(first, kind, keyword) -> None:
    entries = ALL.astype("<u2").tobytes()
    sequence = table(entries, 12, first=first, count=4096, kind=kind)
    assert off(pixels(radiograph(SIGNED, **{keyword: sequence})), SHOWN) <= 1
    rescaled = {"RescaleSlope": 1, "RescaleIntercept": -2048}
    if keyword == "VOILUTSequence":
        assert off(pixels(radiograph(VOILUTSequence=sequence, **rescaled)), SHOWN) <= 1


def test_the_first_value_of_a_table_may_lie_in_the_upper_half_of_16_bits() -> None:
    levels = RAMP + 40_000
    sequence = table(ALL, 12, first=40_000)
    assert off(pixels(radiograph(levels, 16, VOILUTSequence=sequence)), SHOWN) <= 1


def test_a_table_of_all_65536_values_says_that_it_has_none() -> None:
    entries = np.arange(2**16, dtype="<u2").tobytes()
    levels = RAMP * 16
    shown = pixels(radiograph(levels, 16, VOILUTSequence=table(entries, 16, count=2**16)))
    assert off(shown, levels / 65535 * 255) <= 1


@pytest.mark.parametrize("bits", [10, 12, 16])
def test_a_modality_table_may_declare_any_bits(bits: int) -> None:
    shown = pixels(radiograph(ModalityLUTSequence=table(4095 - ALL, bits), **WHOLE))
    assert off(shown, 255 - SHOWN) <= 1


@pytest.mark.parametrize(
    "sequence", [[], [Dataset()], table([0] * 4096, 12), table(ALL, 12, first=30_000)]
)
def test_a_table_with_nothing_for_this_film_is_passed_over(sequence: list[Dataset]) -> None:
    shown = pixels(radiograph(VOILUTSequence=sequence, WindowCenter=1024, WindowWidth=2048))
    assert off(shown, np.minimum(RAMP / 2047 * 255, 255)) <= 1


def test_big_endian_tables_are_read() -> None:
    import io

    from pydicom.filewriter import dcmwrite
    from pydicom.uid import ExplicitVRBigEndian

    dataset = radiograph(RAMP.byteswap(), VOILUTSequence=table(4095 - ALL, 12))
    dataset.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    buffer = io.BytesIO()
    dcmwrite(buffer, dataset, implicit_vr=False, little_endian=False, enforce_file_format=True)
    assert off(pixels(buffer.getvalue()), 255 - SHOWN) <= 1


@pytest.mark.parametrize(("centre", "width"), [(0.5, 1), (0.4565, 0.9131), (0.25, 0.5), (0.6, 1.2)])
def test_a_window_on_levels_less_than_one_apart_is_meant_exactly(centre, width) -> None:
    shown = pixels(radiograph(WindowCenter=centre, WindowWidth=width, **NARROW))
    assert off(shown, np.clip((RAMP / 4095 - centre + width / 2) / width, 0, 1) * 255) <= 1


def test_a_window_of_one_level_is_a_threshold() -> None:
    shown = pixels(radiograph(WindowCenter=2000, WindowWidth=1))
    assert np.array_equal(shown, np.where(RAMP < 2000, 0, 255))


@pytest.mark.parametrize("width", [0.5, 0, -5])
@pytest.mark.parametrize("centre", [100, 2048])
def test_an_impossible_window_is_ignored(centre: float, width: float) -> None:
    assert np.array_equal(pixels(radiograph(WindowCenter=centre, WindowWidth=width)), SHOWN)


def test_a_window_that_shows_nothing_gives_way_to_the_next_and_to_the_film_s_range() -> None:
    assert np.array_equal(pixels(radiograph(WindowCenter=9000, WindowWidth=100)), SHOWN)
    several = radiograph(WindowCenter=[9000, 1024], WindowWidth=[100, 2048])
    assert off(pixels(several), np.minimum(RAMP / 2047 * 255, 255)) <= 1


@pytest.mark.parametrize("function", ["linear_exact", " LINEAR_EXACT", "Linear_Exact"])
def test_the_name_of_a_window_s_function_may_be_spelt_otherwise(function: str) -> None:
    dataset = radiograph(WindowCenter=2000, WindowWidth=4, VOILUTFunction=function)
    exact = radiograph(WindowCenter=2000, WindowWidth=4, VOILUTFunction="LINEAR_EXACT")
    assert np.array_equal(pixels(dataset), pixels(exact))


@pytest.mark.parametrize(
    ("centre", "width"), [("1023,5", "2048,0"), ("1024  ", "2048HU"), ("+1024.", "2,05e3")]
)
def test_numbers_are_read_with_decimal_commas_and_units(centre: str, width: str) -> None:
    data = saved(radiograph(WindowCenter="1111.1", WindowWidth="2222.2"))
    shown = pixels(put(put(data, "1111.1", centre), "2222.2", width))
    assert off(shown, np.minimum(RAMP / 2047 * 255, 255)) <= 1


def test_a_decimal_comma_in_the_slope_is_read() -> None:
    data = saved(radiograph(RescaleSlope="7.25", RescaleIntercept="0", **WHOLE))
    assert off(pixels(put(data, "7.25", "0,50")), SHOWN / 2) <= 1


@pytest.mark.parametrize("centre", ["abcd", "nan ", "    "])
def test_a_window_that_is_no_number_is_ignored(centre: str) -> None:
    data = saved(radiograph(WindowCenter="7777", WindowWidth="500"))
    assert np.array_equal(pixels(put(data, "7777", centre)), SHOWN)


@pytest.mark.parametrize("slope", ["", 0, None])
@pytest.mark.parametrize("intercept", ["", 0, -1000, None])
def test_an_empty_or_zero_rescaling_is_none(slope, intercept) -> None:
    given = {"RescaleSlope": slope, "RescaleIntercept": intercept}
    given = {name: value for name, value in given.items() if value is not None}
    assert off(pixels(radiograph(**given, **WHOLE)), SHOWN) <= 1
    assert off(pixels(radiograph(RescaleSlope=2, **WHOLE)), SHOWN) <= 1


def test_a_negative_slope_turns_the_film_over() -> None:
    shown = pixels(radiograph(RescaleSlope=-1, RescaleIntercept=4095, **WHOLE))
    assert off(shown, 255 - SHOWN) <= 1


FILM = RAMP // 2 + 1000  # 1000..3047
PADDED = np.s_[:8]


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("padding", [0, 4095])
def test_padding_is_black_and_does_not_stretch_the_range(padding: int, photometric: str) -> None:
    levels = FILM.copy()
    levels[PADDED] = padding
    shown = pixels(
        radiograph(levels, PixelPaddingValue=padding, PhotometricInterpretation=photometric)
    )
    assert not shown[PADDED].any()
    wanted = np.rint((FILM - 1000.0) / 2047 * 255)
    assert off(shown[8:], (255 - wanted if photometric == "MONOCHROME1" else wanted)[8:]) <= 1


@pytest.mark.parametrize(("kind", "value", "signed"), [("US", 61536, True), ("SS", -1, False)])
def test_padding_is_found_though_its_sign_is_the_wrong_one(kind, value, signed) -> None:
    levels = FILM.astype(np.int16 if signed else np.uint16)
    levels[PADDED] = value - 2**16 if signed else 2**16 + value
    dataset = radiograph(levels, 16)
    dataset.add_new("PixelPaddingValue", kind, value)
    shown = pixels(dataset)
    assert not shown[PADDED].any()
    assert (shown[8:].min(), shown[8:].max()) == (0, 255)


def test_a_range_of_padding_is_padding() -> None:
    levels = FILM.copy()
    levels[:4], levels[4:8] = 10, 40
    shown = pixels(radiograph(levels, PixelPaddingValue=0, PixelPaddingRangeLimit=50))
    assert not shown[PADDED].any()
    assert (shown[8:].min(), shown[8:].max()) == (0, 255)


def test_a_padding_value_among_the_film_s_levels_is_a_level_of_the_film() -> None:
    levels = np.arange(4096, dtype=np.uint16).reshape(64, 64)
    negative = radiograph(levels, PixelPaddingValue=0, PhotometricInterpretation="MONOCHROME1")
    assert off(pixels(negative), 255 - levels / 4095 * 255) <= 1


def test_a_film_of_nothing_but_padding_is_black() -> None:
    assert not pixels(radiograph(np.full((40, 40), 7, np.uint16), PixelPaddingValue=7)).any()


def test_levels_of_32_bits_are_shown() -> None:
    levels = RAMP.astype(np.uint32) * 1_000_000
    assert off(pixels(radiograph(levels, 32)), SHOWN) <= 1
