import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

UNCACHED = """
from numba.core.caching import CacheImpl, FunctionCache
CacheImpl._locator_classes = []
FunctionCache._impl_class._locator_classes = []
import numba
try:
    numba.njit(cache=True)(lambda x: x)
except RuntimeError:
    import crmnet.data.fast_parser, crmnet.motifs.refine
    print("imported")
"""


def test_a_place_without_a_writable_cache_is_no_obstacle():
    done = subprocess.run([sys.executable, "-c", UNCACHED], capture_output=True, text=True)
    assert done.stdout == "imported\n", done.stderr
