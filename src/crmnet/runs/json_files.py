"""Reading JSON and texts that may be damaged or hostile: ``run.json``, cards, recipes.

Every error names the file and what is wrong in it. What is returned holds no control characters,
no number that is not finite, and is not nested deeply, so that it can be checked and shown.
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
"""Largest number of objects and lists inside one another."""
Model = TypeVar("Model", bound=BaseModel)


def read_text(path: PathLike, most: int) -> str:
    """Text of a file in UTF-8.

    Args:
        path: The file.
        most: Largest size, in bytes.

    Raises:
        ValueError: If the file is larger, or if it is not UTF-8.
    """
    path = Path(path)
    with path.open("rb") as file:
        raw = file.read(most + 1)
    if len(raw) > most:
        raise ValueError(f"{path} is damaged: it is larger than {most:,} bytes")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise ValueError(f"{path}, line {line}: not UTF-8 text") from error


def parse_object(text: str, source: str) -> dict[str, Any]:
    """The JSON object in ``text``.

    Args:
        text: JSON.
        source: What holds it, for errors, such as ``my-run/run.json``.

    Raises:
        ValueError: If it is not a JSON object, or holds a control character, a number that is not
            finite or too many levels.
    """
    try:
        found = json.loads(text)
        if not isinstance(found, dict):
            raise ValueError("it is not a JSON object")
        check_values(found)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{source} is damaged: {error}") from error
    return found


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


def validate(kind: type[Model], found: dict[str, Any], source: str) -> Model:
    """``found`` as a ``kind``.

    Raises:
        ValueError: Naming the first value that does not fit.
    """
    try:
        return kind.model_validate(found)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"]))
        problem = first["msg"].removeprefix("Value error, ")
        problem = problem[:1].lower() + problem[1:]
        raise ValueError(f"{source} is damaged: {name + ': ' if name else ''}{problem}") from error
