"""Threads that share the rows of a batch predict the same as one predictor alone."""

import threading

import numpy as np
import pytest
import torch
from torch import nn

from crmnet.prediction.predictor import NotFiniteError
from crmnet.serve import threads
from crmnet.serve.threads import FEWEST, SharedPredictor, Threads


class Counts(nn.Module):
    """The number of each base; infinite for a sequence of G alone."""

    def __init__(self):
        super().__init__()
        self.names, self.rows = set(), []

    def forward(self, x_BCL):
        self.names.add(threading.get_ident())
        self.rows.append(len(x_BCL))
        sums = x_BCL.sum(dim=2)
        return torch.where(sums[:, 2:3] == x_BCL.shape[2], torch.inf, sums)


@pytest.fixture
def three(monkeypatch):
    """Three threads, and torch with one core in each."""
    before, own = torch.get_num_threads(), Threads()
    torch.set_num_threads(3)
    own.start()
    monkeypatch.setattr(threads, "THREADS", own)
    yield own
    own.pool.shutdown()
    torch.set_num_threads(before)


def shared(network):
    return SharedPredictor(network, list("ACGT"), torch.device("cpu"), length=10)


def tokens(n):
    return np.random.default_rng(n).integers(0, 4, (n, 10)).astype(np.int8)


@pytest.mark.parametrize("n", [0, 1, 2 * FEWEST - 1, 2 * FEWEST, 3 * FEWEST + 1, 100])
def test_the_numbers_and_their_order_are_the_same(three, n):
    rows = tokens(n)
    expected = np.stack([(rows == base).sum(axis=1) for base in range(4)], axis=1)
    np.testing.assert_array_equal(shared(Counts()).predict_tokens(rows), expected)


@pytest.mark.parametrize(
    ("n", "sizes"), [(2 * FEWEST - 1, [15]), (2 * FEWEST, [8, 8]), (100, [33, 33, 34])]
)
def test_each_thread_gets_an_equal_share(three, n, sizes):
    network = Counts()
    shared(network).predict_tokens(tokens(n))
    assert sorted(network.rows) == sizes
    assert (threading.get_ident() in network.names) == (len(sizes) == 1)


def test_torch_uses_one_core_in_each_thread(three):
    assert three.count == 3 and torch.get_num_threads() == 1
    assert set(three.pool.map(lambda _: torch.get_num_threads(), range(6))) == {1}


def test_a_prediction_that_is_not_finite_names_its_row(three):
    rows = tokens(60)
    rows[rows.max(axis=1) == 2] = 0
    rows[47] = 2
    with pytest.raises(NotFiniteError) as error:
        shared(Counts()).predict_tokens(rows)
    assert error.value.row == 47


def test_without_threads_it_is_a_predictor(monkeypatch):
    monkeypatch.setattr(threads, "THREADS", Threads())
    network = Counts()
    shared(network).predict_tokens(tokens(40))
    assert network.rows == [40]


def test_a_model_of_the_server_shares_its_rows(models):
    assert isinstance(models.oracles["yeast-fast"].opened, SharedPredictor)
