"""Names for the types of NumPy arrays that many modules take and return."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Floats32 = npt.NDArray[np.float32]
AnyFloats = npt.NDArray[np.floating]
Integers = npt.NDArray[np.int64]
Booleans = npt.NDArray[np.bool_]
