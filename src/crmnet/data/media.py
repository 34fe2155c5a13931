"""Media and network outputs: which output stands for a medium."""

from __future__ import annotations

from collections.abc import Sequence

from crmnet.names import did_you_mean


def output_of(medium: str, outputs: Sequence[str]) -> int:
    """Number of the output that stands for ``medium``; ``complex+defined`` stands for either.

    Raises:
        ValueError: If none does.
    """
    if medium in outputs:
        return list(outputs).index(medium)
    for number, output in enumerate(outputs):
        if medium in output.split("+"):
            return number
    hint = did_you_mean(str(medium).lower(), outputs)
    raise ValueError(
        f"medium must be one of {', '.join(outputs)}; got {medium!r}"
        + (f"; {hint}" if hint else "")
    )
