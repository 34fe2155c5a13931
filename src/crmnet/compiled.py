"""Compilation of numerical functions by numba."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba


def compiled(function: Callable[..., Any]) -> Any:
    """Compile ``function``; the result is kept on disk where numba finds a writable folder."""
    try:
        return numba.njit(nogil=True, cache=True)(function)
    except RuntimeError:  # a read-only installation, and no home to write to
        return numba.njit(nogil=True)(function)
