"""The first step of a run: X-rays in, patients held out, hospitals dealt, features extracted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fedmed.backbones.backbone import Backbone
from fedmed.backbones.backbone import load as load_backbone
from fedmed.backbones.engine import pick_device, pick_to_train
from fedmed.data.holdout import description
from fedmed.evaluation import shifted
from fedmed.evaluation.evaluation_set import EvaluationSet
from fedmed.evaluation.shifted import SwappedValidation
from fedmed.experiment.deal import Dealt, deal
from fedmed.experiment.run_state import RunState
from fedmed.experiment.settings import Settings
from fedmed.experiment.timing import Stopwatch
from fedmed.features.cache import FeatureCache
from fedmed.features.extract import Source, extract_all, missing
from fedmed.features.sites import Features, TrainingSite
from fedmed.imaging.augmentation import CLEAN, FILM, View
from fedmed.inference.out_of_distribution import sample
from fedmed.privacy import public_centre
from fedmed.privacy.rows import Space
from fedmed.progress import say
from fedmed.training.recipe import Recipe, pick_recipe


@dataclass(frozen=True)
class Prepared(Dealt):
    """All that training and scoring read: nothing below touches an image's pixels again."""

    backbone: Backbone  # for what is scored
    learner: Backbone  # the same on the engine for training views
    recipe: Recipe
    views: Sequence[View]
    features: Features  # of `training`
    everything: TrainingSite
    hospitals: Sequence[TrainingSite]
    validation: EvaluationSet
    shifted: SwappedValidation
    test: EvaluationSet
    passes: int  # through the backbone, that it took
    cache: FeatureCache
    learned: FeatureCache  # of training views
    measured: np.ndarray  # what `films.measure` made of a sample of `training`
    held_out_measured: np.ndarray  # and of `held_out`
    state: RunState
    space: Space | None  # of a private run or a lab's, in which patients' rows lie

    @property
    def engine(self) -> str:
        """What passes ran on, in words."""
        to_train, to_score = self.learner.engine.title, self.backbone.engine.title
        return to_score if to_train == to_score else f"{to_score}; training views {to_train}"


def prepare(settings: Settings, watch: Stopwatch, dealt: Dealt | None = None) -> Prepared:
    """Read the X-rays and put each through the frozen backbone once, in every view it is used in.

    `dealt` are X-rays that hospitals have already, where it is not for this run to deal them.

    Raises:
        UserError: an option, a file or what an unfinished run left is not what it should be.
    """
    device = pick_device(settings.device)
    backbone = load_backbone(settings.backbone).to(device)
    learner = backbone if settings.deterministic else backbone.on(pick_to_train(device))
    recipe = pick_recipe(settings.recipe)

    dealt = dealt or deal(settings, backbone)
    cohort, training, held_out = dealt.cohort, dealt.training, dealt.held_out
    engines = " and ".join(dict.fromkeys([learner.engine.id, backbone.engine.id]))
    state = RunState(settings, backbone.sha256, cohort.images, engines)
    watch.lap("data")

    views = recipe.views(settings.views, settings.seed)
    cache = FeatureCache(backbone)
    learned = cache if learner.engine.id == backbone.engine.id else FeatureCache(learner)
    to_train = [(training, views)]
    to_score = [
        (held_out, [CLEAN]),
        *shifted.wanted(held_out),
        (cohort.test, [CLEAN]),
    ]
    spaced = settings.epsilon is not None or settings.study or settings.lab
    if spaced:  # where training images lie, and so on the same engine
        to_train.append(public_centre.wanted())
    asked, lacking = np.add(missing(to_train, learned), missing(to_score, cache)).tolist()
    if kept := state.words(asked, lacking):
        say(kept)
    passes = extract_all(
        [(to_train, Source(learner, learned)), (to_score, Source(backbone, cache))]
    )
    scored = [*held_out, *cohort.test]
    measures = [
        source.load(FILM, [xray.digest for xray in xrays])
        for source, xrays in ((learned, training), (cache, scored))
    ]
    dealt.judge_films(np.concatenate(measures))
    sampled = [measures[0][[*sample(range(len(training)))]]]
    sampled += [measures[1][[*sample(range(len(held_out)))]]]
    state.begin()
    features = Features(training, learned)
    # Read before the training: what lies idle for an hour, another run may drop from the cache.
    clean = [Features(xrays, cache).view(CLEAN) for xrays in (held_out, cohort.test)]
    swapped = SwappedValidation.read(held_out, cache)
    watch.lap("features")
    return Prepared(
        **vars(dealt),
        backbone=backbone,
        learner=learner,
        recipe=recipe,
        views=views,
        features=features,
        everything=TrainingSite("central", features, np.arange(len(training)), views),
        hospitals=[
            TrainingSite(name, features, part, views)
            for name, part in zip(dealt.sites, dealt.parts, strict=True)
        ],
        validation=EvaluationSet(description(cohort.patients_known), held_out, clean[0]),
        shifted=swapped,
        test=EvaluationSet(f"{cohort.test_split}, scored once by this run", cohort.test, clean[1]),
        passes=passes,
        cache=cache,
        learned=learned,
        measured=sampled[0],
        held_out_measured=sampled[1],
        state=state,
        space=public_centre.space(learned) if spaced else None,
    )
