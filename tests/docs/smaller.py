"""Smaller forms of long commands: fewer rows and epochs, a tiny network; all else as written."""

from __future__ import annotations

from support import TINY

SIZES = [setting for setting in TINY if "=[" in setting or setting.split("=")[0] in (
    "transformer_blocks", "heads", "key_dim", "feed_forward")]  # fmt: skip
SHORT = ["epochs=1", "warmup_epochs=0.3"]
CHANGES: dict[tuple[str, ...], list[str]] = {
    ("ablate",): ["--seeds", "1", "--resamples", "100", *[
        word for setting in [*SIZES, *SHORT] for word in ("--set", setting)]],
    ("data", "simulate"): ["-n", "600"],
    ("design",): ["-n", "2", "--steps", "2", "--chains", "3"],
    ("evolve", "trajectories"): ["--steps", "2"],
    ("models", "distil"): ["-n", "300"],
}  # fmt: skip
"""Words that follow those of the command; the last value of an option counts."""


def smaller(words: list[str]) -> list[str]:
    """The words of a command in its smaller form."""
    if words[:1] == ["train"]:
        return _train(words)
    for verb, more in CHANGES.items():
        if tuple(words[: len(verb)]) == verb and not {"--help", "--list-presets"} & set(words):
            return _without_settings(words, more) + more
    return words


def _train(words: list[str]) -> list[str]:
    """One epoch; the sizes of a tiny network for the paper's recipes, which train the full one."""
    settings = list(SHORT)
    if words[1].startswith("paper") and "--from" not in words:
        settings += [*SIZES, "batch_size=64"]
    more = [word for setting in settings for word in ("--set", setting)]
    return _without_settings(words, more) + more


def _without_settings(words: list[str], more: list[str]) -> list[str]:
    """``words`` without ``--set`` of a setting that ``more`` changes."""
    changed = {_key(word) for word in more if "=" in word}
    kept, place = [], 0
    while place < len(words):
        step = 2 if words[place] == "--set" else 1
        if step == 1 or _key(words[place + 1]) not in changed:
            kept += words[place : place + step]
        place += step
    return kept


def _key(setting: str) -> str:
    return setting.split("=")[0].rpartition(".")[2]
