"""Predictions on all cores: threads share the rows of a batch, and each uses one core.

By default torch divides each operation among cores, and all threads wait for each other after each
operation. An LSTM has thousands of short operations. If another program takes one core for a
moment, all threads wait, thousands of times: on a busy machine with 2 cores, the map of single
mutations took minutes instead of seconds. Threads that share rows wait once, at the end.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from crmnet.data.packed import as_rows
from crmnet.prediction.predictor import NotFiniteError, Predictor
from crmnet.sequence import Tokens
from crmnet.statistics.uncertainty import Expression

FEWEST = 8
"""Rows for a thread; fewer are not faster."""
MOST_THREADS = 16
"""More threads have too few rows each."""


class Threads:
    """The threads of this process; none before :meth:`start`."""

    def __init__(self) -> None:
        self.count = 1
        self.pool: ThreadPoolExecutor | None = None

    def start(self, most: int = MOST_THREADS) -> None:
        """Start a thread for each core that torch would use; torch then uses one core in each."""
        self.count = min(torch.get_num_threads(), most)
        torch.set_num_threads(1)
        if self.count > 1:
            # torch keeps its number of cores for each thread
            self.pool = ThreadPoolExecutor(self.count, initializer=lambda: torch.set_num_threads(1))


THREADS = Threads()


class SharedPredictor(Predictor):
    """A predictor whose batches are shared by the threads of this process, if it uses the CPU."""

    def _predict(self, network: nn.Module, tokens: npt.ArrayLike, outputs: int) -> Expression:
        rows = as_rows(tokens)
        pool, parts = THREADS.pool, min(THREADS.count, len(rows) // FEWEST)
        if pool is None or parts < 2 or self.device.type != "cpu":
            return super()._predict(network, rows, outputs)

        def predict(part: tuple[int, Tokens]) -> Expression:
            try:
                return Predictor._predict(self, network, part[1], outputs)
            except NotFiniteError as error:
                raise NotFiniteError(part[0] + error.row) from error

        cuts = np.linspace(0, len(rows), parts + 1).astype(int).tolist()
        shares = [(first, rows[first:end]) for first, end in pairwise(cuts)]
        return np.concatenate(list(pool.map(predict, shares)))
