from __future__ import annotations

import pytest

from fedmed.page import elements
from fedmed.page.charts import Frame, element
from fedmed.page.rendering import ENVIRONMENT
from tests.support.markup import tags


def macros():
    """The signs that templates draw."""
    return ENVIRONMENT.get_template("elements.html").module


@pytest.mark.parametrize(
    ("share", "words"),
    [(0, "<0.1 %"), (0.004, "0.4 %"), (0.5, "50 %"), (0.994, "99.4 %"), (1, ">99.9 %")],
)
def test_percent(share, words):
    assert elements.percent(share) == words


def test_an_interval_in_percent():
    interval = elements.in_percent({"value": 0.9, "low": 0.8768, "high": 0.9213})
    assert interval == pytest.approx((90, 87.68, 92.13))
    assert str(interval) == "90.0 % (87.7 to 92.1)"


@pytest.mark.parametrize(
    ("count", "words"),
    [(12, "12 B"), (4253, "4.3 kB"), (999_960, "1.0 MB"), (44_700_000, "44.7 MB"), (2e9, "2.0 GB")],
)
def test_size(count, words):
    assert elements.size(count) == words


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["Central"], "Central"),
        (["Hospital 1", "Hospital 3"], "Hospitals 1 and 3"),
        (["Central", "federated", "Hospital 2"], "Central, federated and Hospital 2"),
    ],
)
def test_listed(names, words):
    assert elements.listed(names) == words


def test_a_verdict_has_a_shape_of_its_own():
    shapes = [macros().class_label(label) for label in ("NORMAL", "PNEUMONIA")]
    assert len(tags(shapes[0], "circle")) == 1 and len(tags(shapes[1], "path")) == 1


def test_mix_bar_widths_are_shares():
    html = macros().mix_bar({"NORMAL": 1, "PNEUMONIA": 3})
    assert [tag["style"] for tag in tags(html, "i")] == ["width:25.00%", "width:75.00%"]
    assert macros().mix_bar({"NORMAL": 0, "PNEUMONIA": 0})


def test_frame_maps_values_to_its_plot_area():
    frame = Frame(x=(2, 4), y=(0, 10), width=130, height=90, left=20, right=10, top=5, bottom=15)
    assert (frame.across(2), frame.across(4)) == (20, 120)
    assert (frame.down(0), frame.down(10)) == (75, 5)


def test_a_chart_s_tags_are_escaped_but_not_twice():
    inner = element("text", "a < b", x=1.0)
    outer = element("g", inner, data_tip='"><b>', class_="fm-x")
    assert outer == (
        '<g data-tip="&#34;&gt;&lt;b&gt;" class="fm-x"><text x="1.0">a &lt; b</text></g>'
    )
