"""An answer as HTML: one X-ray, every model side by side, and what moved each of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
from PIL import Image

from fedmed.inference.predictor import Prediction
from fedmed.page import explanation
from fedmed.page.elements import counted, mix_bar, percent, safe_name, shape, verdict
from fedmed.page.examples import Example, data_uri
from fedmed.report.highlights import is_hospital, note, shown

SHOWN = 720  # pixels on the longer side, of the film that is shown
ROLES = {
    "central": "trained on all images in one place",
    "federated": "averaged from the hospitals' updates",
}


@dataclass(frozen=True)
class Answer:
    """What there is to show about one X-ray."""

    image: Image.Image
    prediction: Prediction
    config: Mapping[str, Any]
    example: Example | None = None  # where a visitor clicked one
    number: int | None = None  # of that example in the strip

    @property
    def _shown(self) -> list[str]:
        return shown(self.prediction.labels)

    def html(self) -> str:
        """The whole answer. `data-evidence` holds what page.js draws the heat maps from."""
        together = [model for model in self._shown if model in ROLES]
        hospitals = [model for model in self._shown if model not in ROLES]
        clicked = "" if self.number is None else f' data-example="{self.number}"'
        return (
            f'<section class="fm-answer"{clicked} data-evidence="{escape(self._evidence())}">'
            f"{self._words()}"
            f'<div class="fm-columns">{self._film()}'
            f'<div class="fm-models"><div class="fm-pair">'
            f"{''.join(self._model(model) for model in together)}</div>"
            f'{self._many()}<h3 class="fm-over"><span>Hospitals</span><span>P(PNEUMONIA)</span>'
            "<span>Trained on</span></h3>"
            f'<div class="fm-rows">{"".join(self._model(model) for model in hospitals)}</div>'
            f"{_KEY}</div></div></section>"
        )

    def _words(self) -> str:
        # Nothing about a picture unlike any X-ray is explained by what the hospitals saw.
        reason = (
            "" if self.prediction.warnings else explanation.reason(self.prediction, self.config)
        )
        expected = ""
        if self.example:
            expected = (
                f'<p class="fm-expected">Expected {verdict(self.example.label)} '
                f"<span>{explanation.against(self.prediction, self.example.label)}</span></p>"
            )
        warnings = "".join(
            f'<p class="fm-warning" role="alert"><b>Careful.</b> {escape(warning)}</p>'
            for warning in self.prediction.warnings
        )
        return (
            f'{warnings}<div class="fm-words"><div>'
            f"<h2>{escape(explanation.headline(self.prediction, self.config))}</h2>"
            f"<p>{escape(reason)}</p></div>"
            f'<div class="fm-tally">{self._votes()}{expected}</div></div>'
        )

    def _many(self) -> str:
        """What all hospitals say, where only some are shown."""
        some = note(self.prediction.labels)
        if not some:
            return ""
        hospitals = [model for model in self.prediction.labels if is_hospital(model)]
        ill = sum(self.prediction.labels[model] == "PNEUMONIA" for model in hospitals)
        given = [self.prediction.probabilities[model]["PNEUMONIA"] for model in hospitals]
        return (
            f'<p class="fm-note">{ill:,} of all {len(hospitals):,} hospitals say PNEUMONIA; half '
            f"of them give it {percent(float(np.median(given)))} or more. {some}</p>"
        )

    def _votes(self) -> str:
        agreement, labels = self.prediction.agreement, self.prediction.labels
        signs = "".join(
            f'<span class="fm-vote" data-label="{labels[model]}" data-tip="'
            f'{safe_name(self.config, model)}: {labels[model]}">{shape(labels[model])}</span>'
            for model in self._shown
        )
        return (
            f'<p class="fm-votes"><span aria-hidden="true">{signs}</span> '
            f"{agreement['agree']:,} of {agreement['of']:,} say {agreement['label']}</p>"
        )

    def _film(self) -> str:
        width, height = self.image.size
        names = "".join(
            f'<option value="{escape(model)}">{safe_name(self.config, model)}</option>'
            for model in self._shown
        )
        source = f"<figcaption>{escape(self.example.source)}</figcaption>" if self.example else ""
        return (
            '<figure class="fm-film">'
            f'<div class="fm-light" style="--ratio:{width / height:.4f}">'
            f'<img src="{data_uri(self.image, SHOWN)}" alt="The X-ray">'
            '<canvas aria-hidden="true"></canvas></div>'
            '<div class="fm-controls">'
            f'<label>Heat map of <select class="fm-map-model">{names}</select></label>'
            '<label>Strength <input class="fm-map-strength" type="range" min="0" max="100" '
            'value="60"></label></div>'
            '<p class="fm-scale"><span>towards NORMAL</span><i></i><span>towards PNEUMONIA</span>'
            f'</p><p class="fm-readout" aria-live="off"></p>{source}</figure>'
        )

    def _model(self, model: str) -> str:
        label = self.prediction.labels[model]
        probability = self.prediction.probabilities[model]["PNEUMONIA"]
        threshold = self.prediction.thresholds[model]
        name = safe_name(self.config, model)
        role = f'<p class="fm-role">{ROLES[model]}</p>' if model in ROLES else ""
        dissents = " fm-dissents" if model in self.prediction.agreement["dissenting"] else ""
        return (
            f'<article class="fm-model{dissents}" data-model="{escape(model)}">'
            f'<header><h4><button type="button" class="fm-pick" aria-pressed="false" '
            f'title="Show the heat map of {name}">{name}</button></h4>{verdict(label)}</header>'
            f"{role}"
            f'<div class="fm-probability"><div class="fm-bar" role="img" data-label="{label}" '
            f'aria-label="P(PNEUMONIA) {percent(probability)}, threshold {percent(threshold)}" '
            f'data-tip="P(PNEUMONIA) {percent(probability)}; PNEUMONIA from {percent(threshold)}">'
            f'<i style="width:{100 * probability:.2f}%"></i>'
            f'<b style="left:{100 * threshold:.2f}%"></b></div>'
            f"<output>{percent(probability)}</output></div>"
            f"{self._mix(model)}</article>"
        )

    def _mix(self, model: str) -> str:
        counts = self.config["models"][model].get("training")
        if not counts:
            return '<p class="fm-mix">training images unknown</p>'
        return f'<p class="fm-mix"><span>trained on</span>{mix_bar(counts)}{counted(counts)}</p>'

    def _evidence(self) -> str:
        maps = {
            model: np.round(self.prediction.evidence[model], 3).tolist() for model in self._shown
        }
        return json.dumps(maps, separators=(",", ":"))


def problem(message: str) -> str:
    """What is shown in an answer's place where a file can't be read."""
    return (
        '<section class="fm-answer"><div class="fm-problem" role="alert">'
        "<h2>That file can’t be read as an X-ray.</h2>"
        f"<p>{escape(message)}</p></div></section>"
    )


_KEY = (
    '<p class="fm-key"><span><i class="fm-key-bar"></i>P(PNEUMONIA), 0 to 100 %</span>'
    '<span><i class="fm-key-tick"></i>decision threshold</span>'
    f"<span>{verdict('NORMAL')} below it</span><span>{verdict('PNEUMONIA')} from it on</span></p>"
)
