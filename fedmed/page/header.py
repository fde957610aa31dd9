"""The head and the foot of the page: what this is, and which snapshot is shown."""

from __future__ import annotations

from fedmed.inference.loading import Opened
from fedmed.page.links import CODE, links
from fedmed.page.rendering import render
from fedmed.server.preview import Preview
from fedmed.task import is_hospital

TITLE = "FedMed: federated learning on chest X-rays"
PREVIEW = Preview(
    TITLE,
    "One chest X-ray, read side by side by models that were trained alone, together, and on "
    "everything in one place. A demonstration, not a medical device.",
    CODE.replace("//github.com", "//raw.githubusercontent.com") + "/main/docs/page.png",
)


def html(opened: Opened) -> str:
    """The header, with a notice where another snapshot was asked for."""
    models = opened.snapshot.models
    machines = opened.machines
    return render(
        "header.html",
        between=len(machines["partition"]["hospitals"]) if machines else 0,
        models=len(models),
        hospitals=sum(map(is_hospital, models)),
        federated="federated" in models,
        alone=getattr(opened.snapshot, "whole", False),
        problem=opened.problem,
    )


def which(opened: Opened) -> str:
    """The foot of the page: which snapshot is shown, and why."""
    return render(
        "footer.html",
        label=opened.label,
        why=opened.why,
        links=links(opened.label, opened.report),
    )
