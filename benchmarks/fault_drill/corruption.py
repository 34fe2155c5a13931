"""Corrupt nested values and bytes at random."""

from __future__ import annotations

import json
import math
import random
from typing import Any

HOSTILE_VALUES: list[Any] = [
    None, True, -1, 0, 1, 7, 10**9, 10**30, 1.5, math.nan, math.inf, "", "x", "\x1b[31mred",
    "\ud800", [], [1], [[1]], {}, {"a": 1}, "9" * 5000, [0] * 5000, "../../etc/passwd",
]  # fmt: skip


def mutated(values: Any, rng: random.Random) -> Any:
    """A copy of nested values with one changed, removed or added."""
    copy = json.loads(json.dumps(values))
    node = copy
    while True:
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        key = rng.choice(keys)
        inner = node[key]
        if isinstance(inner, dict | list) and inner and rng.random() < 0.85:
            node = inner
            continue
        how = rng.random()
        if how < 0.1:
            del node[key]
        elif how < 0.15 and isinstance(node, dict):
            node["surprise"] = rng.choice(HOSTILE_VALUES)
        else:
            node[key] = rng.choice(HOSTILE_VALUES)
        return copy


def scrambled(raw: bytes, rng: random.Random) -> bytes:
    """Bytes with some replaced, removed, repeated or cut off."""
    data = bytearray(raw)
    for _ in range(rng.choice([1, 1, 2, 5, 20])):
        if not data:
            break
        place, how = rng.randrange(len(data)), rng.randrange(6)
        if how == 0:
            data[place] = rng.randrange(256)
        elif how == 1:
            del data[place : place + rng.randrange(1, 30)]
        elif how == 2:
            data[place:place] = data[place : place + rng.randrange(1, 50)]
        elif how == 3:
            data[place:place] = rng.choice([b"\t", b"\n", b"\r", b"\0", b'"', b">", b",", b"\xff"])
        elif how == 4:
            data[place:place] = rng.choice([b"nan", b"inf", b"1e999", b"-1", b"1_0", b"9" * 400])
        else:
            del data[place:]
    return bytes(data)
