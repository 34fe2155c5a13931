"""Reads JSON and texts that may be damaged or hostile: ``run.json``, cards, recipes.

The modules :mod:`~crmnet.runs.folder`, :mod:`~crmnet.runs.packed` and :mod:`~crmnet.runs.settings`
read their files through it. Every error names the file and the fault. The result has no control
characters, only finite numbers and at most :data:`DEEPEST` levels, so other code can safely check
and print it.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from crmnet.files import PathLike
from crmnet.names import is_control

DEEPEST = 20
"""Largest number of nested objects and lists."""
Model = TypeVar("Model", bound=BaseModel)


def read_text(path: PathLike, max_bytes: int) -> str:
    """Text of a file in UTF-8.

    Args:
        path: The file.
        max_bytes: Largest size of the file.

    Raises:
        ValueError: If the file is larger, or if it is not UTF-8.
    """
    path = Path(path)
    with path.open("rb") as file:
        raw = file.read(max_bytes + 1)
    if len(raw) > max_bytes:
        raise ValueError(f"{path} is damaged: it is larger than {max_bytes:,} bytes")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise ValueError(f"{path}, line {line}: not UTF-8 text") from error


def parse_object(text: str, source: str) -> dict[str, Any]:
    """The JSON object in ``text``.

    Args:
        text: JSON.
        source: Name of the file in errors, such as ``my-run/run.json``.

    Raises:
        ValueError: If it is not a JSON object, or holds a control character, a number that is not
            finite or too many levels.
    """
    try:
        parsed = json.loads(text)
        if not isinstance(parsed, dict):
            raise ValueError("it is not a JSON object")
        check_values(parsed)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{source} is damaged: {error}") from error
    return parsed


def check_values(value: Any, name: str = "", depth: int = 0) -> None:
    """Check that texts are printable, numbers finite and levels few.

    Raises:
        ValueError: Naming the value, such as ``data.name``.
    """
    if depth > DEEPEST:
        raise ValueError(f"{name:.100} has more than {DEEPEST} levels")
    if isinstance(value, str) and any(map(is_control, value)):
        raise ValueError(f"{name or 'a key'} holds a control character: {value!a:.60}")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{name} is not a finite number: {value}")
    if isinstance(value, int) and abs(value) >= 2**63:
        raise ValueError(f"{name} is too large a number: {value:.3e}")
    if isinstance(value, dict):
        for key, item in value.items():
            check_values(key)
            check_values(item, f"{name}.{key}" if name else str(key), depth + 1)
    elif isinstance(value, list | tuple):
        for number, item in enumerate(value):
            check_values(item, f"{name}.{number}", depth + 1)


def validate(kind: type[Model], values: dict[str, Any], source: str) -> Model:
    """``values`` as an object of the class ``kind``.

    Raises:
        ValueError: Naming the first value that does not fit.
    """
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"]))
        problem = first["msg"].removeprefix("Value error, ")
        problem = problem[:1].lower() + problem[1:]
        raise ValueError(f"{source} is damaged: {name + ': ' if name else ''}{problem}") from error
