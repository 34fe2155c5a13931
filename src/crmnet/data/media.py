"""Maps media to outputs of a network.

:func:`output_of` takes a medium and the names of the outputs, and returns an index. Loading,
training, prediction and evaluation use it.
"""

from __future__ import annotations

from collections.abc import Sequence

from crmnet.names import did_you_mean

OTHER_NAMES = {
    "complex": ("ypd",),
    "defined": ("sc-ura", "sc_ura", "sc"),
    "dream": ("chardonnay", "wine must", "grape must"),
}
"""Medium → what else biologists call it, in lower case."""


def output_or_none(medium: str, outputs: Sequence[str]) -> int | None:
    """As :func:`output_of`; None if there is no output for the medium."""
    if medium in outputs:
        return list(outputs).index(medium)
    shared = (n for n, output in enumerate(outputs) if medium in output.split("+"))
    return next(shared, None)


def output_of(medium: str, outputs: Sequence[str], owner: str = "the model") -> int:
    """Index of the output for ``medium``; an output ``complex+defined`` serves both media.

    Args:
        medium: The medium.
        outputs: Names of the outputs, or of the media of a data set.
        owner: What has them, for the error.

    Raises:
        ValueError: If there is no output for it.
    """
    found = output_or_none(medium, outputs)
    if found is not None:
        return found
    name = str(medium).lower()
    hint = next(
        (f"{medium} is called {o} here" for o in outputs if name in OTHER_NAMES.get(o, ())),
        did_you_mean(name, outputs),
    )
    raise ValueError(
        f"no medium {medium!r}; {owner} has {' and '.join(outputs)}" + (f"; {hint}" if hint else "")
    )
