"""The About tab: what federated learning did here, what it does not show, and whose data it was."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from fedmed.backbones.engine import pick
from fedmed.page.elements import number, size
from fedmed.task import CLASSES, DATASET, DISCLAIMER, FEATURES
from fedmed.uploads.storage import KEPT_MINUTES

DRAWN = 6  # hospitals in the figure: the first ones and the last
HEAD = len(CLASSES) * (FEATURES + 1)  # numbers in a head


def html(config: Mapping[str, Any], report: Mapping[str, Any] | None) -> str:
    """The whole tab."""
    hospitals = sum(model.startswith("hospital_") for model in config["models"])
    return (
        '<div class="fm-about">'
        '<section class="fm-panel fm-told">'
        f"{_figure(hospitals, _update(report))}{_story(hospitals)}</section>"
        f'<div class="fm-twin">{_limits(report)}'
        f'<div class="fm-column">{_privacy()}{_sources(config, report)}</div></div></div>'
    )


def _update(report: Mapping[str, Any] | None) -> str:
    if not report:
        return "a few kB"
    communication = report["communication"]
    return size(communication["formats"][communication["sent"]]["update_bytes"])


def _story(hospitals: int) -> str:
    count = number(hospitals).capitalize()
    return f"""<div class="fm-prose"><h2>Sharing what was learned, not the pictures</h2>
<p>{count} hospitals want one good pneumonia detector, and none may hand over its X-rays. Each
sees other patients: some almost only pneumonia, some mostly healthy lungs. A model trained on one
of them takes that mix for the world, and you can see it lean on the Compare tab.</p>
<p>In federated learning the model travels instead. Every hospital starts from the same network,
frozen but for its last layer, trains that layer on its own X-rays for a few epochs and sends back
{HEAD:,} numbers. A server averages them, weighted by how many images stand behind each, and sends
the average out again. After a few rounds every hospital’s experience is in one model, and no
X-ray has left its hospital.</p>
<p>The central model is what pooling all X-rays would have given: the yardstick. How close the
federated one comes is on the Report tab, with the uncertainty.</p></div>"""


def _limits(report: Mapping[str, Any] | None) -> str:
    simulated = (
        "<li>These models were trained on simulated X-rays.</li>"
        if report and report["data"]["simulated"]
        else ""
    )
    return f"""<section class="fm-panel fm-prose"><h3>Limits</h3>
<p class="fm-warning"><b>{escape(DISCLAIMER)}</b></p><ul>{simulated}
<li>The hospitals are one data set divided: real ones differ in scanners and patients as well.</li>
<li>The X-rays are of young children, taken in one place. Adults look different.</li>
<li>Two answers only. Anything else on an X-ray, or anything else than an X-ray, gets one of them
all the same; the page warns where a picture is unlike those the models know.</li>
<li>A heat map shows what moved a model, not where a disease is.</li>
<li>Sending numbers instead of X-rays keeps the X-rays home. It proves nothing about what could be
inferred from the numbers: there is no differential privacy and no secure aggregation here.</li>
</ul></section>"""


def _privacy() -> str:
    return f"""<section class="fm-panel fm-prose"><h3>Your uploads</h3>
<p>A file you upload lies in a temporary folder of this server, which gives it to nobody, and is
deleted within {KEPT_MINUTES} minutes; the answer leaves the server's memory as soon. It is not
looked at, kept or used to train.
Do not upload a patient’s X-ray that you may not share. There are no analytics and no run history
here; where this page runs on somebody’s server, that server may keep logs of its own.</p>
</section>"""


def _sources(config: Mapping[str, Any], report: Mapping[str, Any] | None) -> str:
    data = report["data"] if report else DATASET
    backbone = config.get("backbone", {})
    origin = escape(str(backbone.get("source", "unknown")))
    return f"""<section class="fm-panel fm-prose"><h3>Data, code and citation</h3>
<p><b>{escape(data["title"])}</b>, licence {escape(data["licence"])}.<br>
{escape(data["citation"])}</p>
<p><b>Backbone</b>: {escape(str(backbone.get("id", "unknown")))}; {origin}. Here it runs on
{escape(pick().title)}.</p>
<p><b>Federated averaging</b>: B. McMahan, E. Moore, D. Ramage, S. Hampson, B. Agüera y Arcas:
Communication-Efficient Learning of Deep Networks from Decentralized Data. AISTATS 2017.</p>
<p><b>Heat maps</b>: B. Zhou, A. Khosla, A. Lapedriza, A. Oliva, A. Torralba: Learning Deep Features
for Discriminative Localization. CVPR 2016.</p>
<p>FedMed’s code is under the MIT licence.</p></section>"""


def _figure(hospitals: int, update: str) -> str:
    """Hospitals above, the server below; films stay, heads travel."""
    numbers = list(range(1, hospitals + 1))
    if hospitals > DRAWN:
        numbers = [*numbers[: DRAWN - 1], hospitals]
    width, gap = 720, 720 / len(numbers)
    parts = [_hospital(gap * (place + 0.5), which) for place, which in enumerate(numbers)]
    for place in range(len(numbers)):
        x = gap * (place + 0.5)
        to = width / 2 + (x - width / 2) * 0.34
        parts.append(
            f'<path class="fm-up" d="M{x - 6:.0f} 112 C{x - 6:.0f} 175 {to - 6:.0f} 150 '
            f'{to - 6:.0f} 212"/>'
            f'<path class="fm-down" d="M{to + 6:.0f} 212 C{to + 6:.0f} 158 {x + 6:.0f} 183 '
            f'{x + 6:.0f} 116"/>'
        )
    return (
        f'<svg class="fm-story" viewBox="0 0 {width} 300" role="img" aria-label="'
        f"{number(hospitals).capitalize()} hospitals keep their X-rays and exchange heads with a "
        'server"><defs><marker id="fm-tip-up" viewBox="0 0 8 8" refX="6" refY="4" markerWidth="6" '
        'markerHeight="6" orient="auto"><path d="M0 0 8 4 0 8Z"/></marker>'
        '<marker id="fm-tip-down" viewBox="0 0 8 8" refX="6" refY="4" markerWidth="6" '
        'markerHeight="6" orient="auto"><path d="M0 0 8 4 0 8Z"/></marker></defs>'
        f"{''.join(parts)}"
        f'<g class="fm-server"><rect x="{width / 2 - 210}" y="214" width="420" height="48" '
        'rx="10"/>'
        f'<text x="{width / 2}" y="243" text-anchor="middle">Server: averages heads, sees no X-ray'
        "</text></g>"
        f'<text class="fm-up-words" x="{width / 2 - 24}" y="288" text-anchor="end">'
        f"up: a head, {update}</text>"
        f'<text class="fm-down-words" x="{width / 2 + 24}" y="288">down: the averaged head</text>'
        "</svg>"
    )


def _hospital(x: float, which: int) -> str:
    films = "".join(
        f'<rect class="fm-kept" x="{x - 27 + 19 * column:.0f}" y="52" width="16" height="20" '
        'rx="2"/>'
        for column in range(3)
    )
    return (
        f'<g class="fm-house"><rect x="{x - 52:.0f}" y="14" width="104" height="92" rx="10"/>'
        f'<text x="{x:.0f}" y="38" text-anchor="middle">Hospital {which}</text>{films}'
        f'<text class="fm-small" x="{x:.0f}" y="94" text-anchor="middle">X-rays stay</text></g>'
    )
