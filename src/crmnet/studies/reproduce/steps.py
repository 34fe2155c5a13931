"""The list of all steps, in the order of the work and of the report."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from crmnet.names import did_you_mean
from crmnet.studies.reproduce.accuracy_steps import (
    compare_commands,
    compare_models,
    metric_tables,
    scatter,
    scatter_commands,
)
from crmnet.studies.reproduce.cost_step import cost_commands, measure_cost
from crmnet.studies.reproduce.data_steps import (
    TRAINING_SETS,
    data_commands,
    draw_lengths,
    get_data,
    length_commands,
)
from crmnet.studies.reproduce.motif_steps import (
    NATIVE,
    draw_figure5,
    draw_logos,
    figure5_commands,
    logo_commands,
)
from crmnet.studies.reproduce.paper import MEDIA, TEST_SETS
from crmnet.studies.reproduce.profiles import Profile
from crmnet.studies.reproduce.released_step import published_commands, score_published
from crmnet.studies.reproduce.step import Step
from crmnet.studies.reproduce.training_steps import (
    ablation,
    ablation_commands,
    finetune,
    finetuning_commands,
    pretrain,
    pretraining_commands,
)

SCATTERS = {"complex": ("figure2", "Figure 2"),
            "defined": ("supplementary-figure1", "Supplementary Figure 1")}  # fmt: skip
"""Medium → step and item of its scatters."""


def _settings(*names: str) -> Callable[[Profile], Mapping[str, Any]]:
    """How a step selects the settings on which it depends."""
    return lambda profile: {name: profile.as_json()[name] for name in names}


def _finetuning(medium: str) -> Step:
    return Step(
        f"fine-tuning-{medium}",
        f"Fine-tuning in {medium} medium",
        (f"Fine-tuning in {medium} medium (section 2.4)",),
        finetune(medium),
        finetuning_commands(medium),
        settings=_settings("finetune"),
        needs=("data", "pre-training"),
        reads=(f"train-{medium}",),
    )


def _scatter(medium: str) -> Step:
    name, item = SCATTERS[medium]
    return Step(
        name,
        f"{item}: predicted and measured expression, {medium} medium",
        (item,),
        scatter(medium, name),
        scatter_commands(medium, name),
        needs=("data", f"fine-tuning-{medium}"),
        reads=tuple(test for test in TEST_SETS if test.endswith(medium)),
    )


STEPS: Sequence[Step] = (
    Step(
        "data", "Supplementary Table 1: data", ("Supplementary Table 1",), get_data, data_commands,
        settings=_settings(
            "simulated", "simulated_random", "simulated_native", "training", "tests", "clean"
        ),
    ),
    Step(
        "lengths", "Supplementary Figure 3: lengths", ("Supplementary Figure 3",), draw_lengths,
        length_commands, needs=("data",), reads=(*TRAINING_SETS[1:], *TEST_SETS),
    ),
    Step(
        "pre-training", "Pre-training on both media", ("Pre-training (section 2.4)",), pretrain,
        pretraining_commands, settings=_settings("pretrain"), needs=("data",), reads=("train",),
    ),
    *(_finetuning(medium) for medium in MEDIA),
    *(_scatter(medium) for medium in MEDIA),
    Step(
        "figure3", "Figure 3: models side by side", ("Figure 3",), compare_models, compare_commands,
        settings=_settings("bundled", "zoo", "zoo_training", "baseline_rows"),
        needs=("data", *(f"fine-tuning-{medium}" for medium in MEDIA)),
        reads=(*TRAINING_SETS, *TEST_SETS),
    ),
    Step(
        "supplementary-tables", "Supplementary Tables 2 and 3: all metrics",
        ("Supplementary Tables 2 and 3",), metric_tables, compare_commands, needs=("figure3",),
    ),
    Step(
        "figure4", "Figure 4: ablation", ("Figure 4",), ablation, ablation_commands,
        settings=_settings("ablation", "seeds"), needs=("data",),
        reads=("train", "train-complex", "random-complex", "native-complex"),
    ),
    Step(
        "table1", "Table 1: time and memory of training", ("Table 1",), measure_cost,
        cost_commands, settings=_settings("batch_sizes", "precisions", "steps", "network"),
    ),
    Step(
        "figure5", "Figure 5: motifs", ("Figure 5",), draw_figure5, figure5_commands,
        settings=_settings("explained", "discovery", "figure5"),
        needs=("data",), explains=("fine-tuning-complex",), reads=(NATIVE,),
    ),
    Step(
        "supplementary-figure2", "Supplementary Figure 2: more logos", ("Supplementary Figure 2",),
        draw_logos, logo_commands, settings=_settings("explained", "logos"),
        needs=("data",), explains=("fine-tuning-complex",), reads=(NATIVE,),
    ),
    Step(
        "published-weights", "The authors' published weights", ("Published weights",),
        score_published, published_commands, needs=("data",), reads=TEST_SETS,
    ),
)  # fmt: skip
"""All steps; a step stands after those that it needs."""
BY_NAME = {step.name: step for step in STEPS}


def chosen_steps(profile: Profile, only: Sequence[str] = ()) -> list[Step]:
    """All steps, or those named and what they need, in order.

    Raises:
        ValueError: If there is no step of a name.
    """
    for name in only:
        if name not in BY_NAME:
            hint = did_you_mean(name, BY_NAME) or f"steps are {', '.join(BY_NAME)}"
            raise ValueError(f"unknown step {name!r}; {hint}")
    wanted = set(only or BY_NAME)
    for step in reversed(STEPS):
        if step.name in wanted:
            wanted |= set(step.needs_in(profile))
    return [step for step in STEPS if step.name in wanted]
