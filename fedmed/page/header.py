"""The head and the foot of the page: what this is, and which snapshot is shown."""

from __future__ import annotations

from html import escape

from fedmed.inference.loading import Opened
from fedmed.page.elements import number

TITLE = "FedMed: federated learning on chest X-rays"
# Five hospitals around what they learned together.
LOGO = (
    '<svg viewBox="0 0 44 44" aria-hidden="true"><g stroke="currentColor" stroke-width="1.6" '
    'opacity=".55"><path d="M22 22 22 5M22 22 38 17M22 22 32 37M22 22 12 37M22 22 6 17"/></g>'
    '<g fill="currentColor"><circle cx="22" cy="22" r="6.5"/><circle cx="22" cy="5" r="3.6"/>'
    '<circle cx="38.5" cy="16.8" r="3.6"/><circle cx="32.2" cy="37" r="3.6"/>'
    '<circle cx="11.8" cy="37" r="3.6"/><circle cx="5.5" cy="16.8" r="3.6"/></g></svg>'
)


def which(opened: Opened) -> str:
    """The foot of the page: which snapshot is shown, and why."""
    return (
        f'<p class="fm-which">Models shown: <b>{escape(opened.label)}</b>. {escape(opened.why)}</p>'
    )


def html(opened: Opened) -> str:
    """The header, with a notice where another snapshot was asked for."""
    hospitals = sum(model.startswith("hospital_") for model in opened.snapshot.models)
    together = (
        " and the model they learned together" if "federated" in opened.snapshot.models else ""
    )
    notice = (
        f'<p class="fm-warning" role="alert">{escape(opened.problem)}</p>' if opened.problem else ""
    )
    return (
        f'<header class="fm-head">{LOGO}<div><h1>FedMed</h1>'
        f"<p>One chest X-ray, {number(len(opened.snapshot.models))} readers: "
        f"{number(hospitals)} hospitals that never shared an image{together}, beside one trained "
        "on everything.</p>"
        "</div>"
        '<span class="fm-disclaimer">Demonstration only. Not a medical device.</span></header>'
        f"{notice}"
    )
