"""Smaller forms of long commands: fewer rows and steps, narrow networks; all else as written."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace

from crmnet.studies.reproduce.profiles import DEMO, PROFILES, PUBLIC, Training
from support import TINY, WIDTHS

SIZES = [setting for setting in TINY if "=[" in setting or setting.split("=")[0] in (
    "transformer_blocks", "heads", "key_dim", "feed_forward")]  # fmt: skip
SHORT = ["epochs=1", "warmup_epochs=0.3"]
Options = Mapping[tuple[str, ...], str]
CHANGES: dict[tuple[str, ...], Options] = {
    ("ablate",): {("--seeds",): "1", ("--resamples",): "100"},
    ("benchmark",): {("--steps",): "1", ("--warm-up",): "0"},
    ("data", "simulate"): {("-n", "--promoters"): "600"},
    ("demo",): {("--promoters",): "600"},
    ("design",): {("-n", "--designs"): "3", ("--steps",): "2", ("--chains",): "3",
                  ("--oracle",): "yeast-fast", ("--rank-by",): "yeast-fast"},
    ("evolve", "trajectories"): {("--steps",): "2"},
    ("models", "distil"): {("-n", "--promoters"): "300"},
    ("motifs", "discover"): {("-n",): "60"},
}  # fmt: skip
"""Verb → names of an option → its value in place of the one that is written, or of the default."""
KEPT = {"--help", "--list-presets", "--attributions"}
"""Commands with one of these are quick as they are written."""


def smaller(words: list[str]) -> list[str]:
    """The words of a command in its smaller form."""
    for verb, options in CHANGES.items():
        if tuple(words[: len(verb)]) == verb and not KEPT & set(words):
            words = _replaced(words, options)
    if words[0] == "serve":
        port = {("--port",): os.environ["DOCS_PORT"]}
        return _replaced([word for word in words if word != "--open"], port)
    if words[0] in ("ablate", "demo") and not KEPT & set(words):
        return _with_settings(words, [*SIZES, *SHORT])
    if words[0] == "train" and not KEPT & set(words):
        return _with_settings(words, [*SHORT, *_widths(words)])
    return words


def shrink_profiles() -> None:
    """Make the profiles of ``crmnet reproduce`` small, in this process."""
    short = Training("demo", (*TINY, "epochs=1", "even_media=false"))
    PROFILES["demo"] = replace(
        DEMO, simulated=300, simulated_random=120, simulated_native=240, pretrain=short,
        finetune=short, ablation=short, seeds=(0,), zoo=(), network="crmnet-small",
        batch_sizes=(2,), precisions=("fp32",), steps=1, discovery=40, figure5=60, logos=2,
    )  # fmt: skip
    PROFILES["public"] = replace(
        PUBLIC,
        training={"complex": (("drift-complex",),), "defined": (("drift-delta-defined",),)},
        tests={name: (name,) for name in ("random-complex", "native-complex")},
    )


def _replaced(words: list[str], options: Options) -> list[str]:
    """``words`` with other values of options."""
    kept = list(words)
    for names, value in options.items():
        for place in [place for place, word in enumerate(kept) if word in names]:
            del kept[place : place + 2]
            break
        kept += [names[0], value]
    return kept


def _widths(words: list[str]) -> list[str]:
    """Settings of a narrow network; none if the network is that of a model, or has a stem."""
    if "--from" in words or words[1] in ("auto", "yeast", "yeast-fast"):
        return []
    if words[1].startswith("paper"):
        return [*SIZES, "batch_size=64"]
    named = [word.partition("=")[2] for word in words if word.startswith("model.name=")]
    widths = WIDTHS.get(named[0] if named else words[1], {})
    return [f"model.{key}={list(value) if isinstance(value, tuple) else value}"
            for key, value in widths.items()]  # fmt: skip


def _with_settings(words: list[str], settings: list[str]) -> list[str]:
    """``words`` with ``--set`` for each of ``settings``, in place of other values of the same."""
    changed = {_key(setting) for setting in settings}
    kept, place = [], 0
    while place < len(words):
        step = 2 if words[place] == "--set" else 1
        if step == 1 or _key(words[place + 1]) not in changed:
            kept += words[place : place + step]
        place += step
    return kept + [word for setting in settings for word in ("--set", setting)]


def _key(setting: str) -> str:
    return setting.split("=")[0].rpartition(".")[2]
