"""Ensembles of networks that can be computed by hand."""

import numpy as np
import torch
from torch import nn

from crmnet.models.ensemble import Ensemble, Member, WithSpread
from crmnet.sequence import encode, fit_length, one_hot


class Times(nn.Module):
    """Counts of A and of T, times a factor: two outputs that can be checked by hand."""

    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def forward(self, x_BCL):
        return self.factor * torch.stack([x_BCL[:, 0].sum(1), x_BCL[:, 3].sum(1)], dim=1)


def hot(sequences, length=16):
    return one_hot(torch.from_numpy(fit_length(*encode(sequences), length)))


def test_predictions_are_the_mean_over_members_and_strands():
    x = hot(["AAAC", "T"])
    assert Ensemble([Times(1), Times(3)])(x).tolist() == [[6, 0], [0, 2]]
    both = Ensemble([Times(1), Times(3)], reverse_complement=True)
    assert both(x).tolist() == [[3, 3], [1, 1]]
    assert both.views(x).shape == (4, 2, 2)


def test_the_spread_is_the_standard_deviation_of_the_views():
    x = hot(["AAAC"])
    one, two = Ensemble([Times(1)]), Ensemble([Times(1), Times(3)])
    assert WithSpread(one)(x).tolist() == [[3, 0, 0, 0]]
    assert WithSpread(two)(x).tolist() == [[6, 0, 3, 0]]


def test_gradients_reach_the_input_through_both_strands():
    x = hot(["ACGT", "AACC"]).requires_grad_()
    Ensemble([Times(2)], reverse_complement=True)(x)[:, 0].sum().backward()
    # Output 0 is the mean of the count of A and, from the reverse complement, the count of T.
    np.testing.assert_array_equal(x.grad[0, 0, :4], [1, 1, 1, 1])
    np.testing.assert_array_equal(x.grad[0, 3, :4], [1, 1, 1, 1])
    assert not x.grad[:, 1:3].any()


def test_a_medium_is_the_mean_of_the_members_that_have_it():
    # The second member has output 1 of the ensemble alone, as its output 0: the count of A.
    members = [Times(1), Member(Times(5), [None, 0], 16)]
    x = hot(["AAAC"])
    assert Ensemble(members)(x).tolist() == [[3, (0 + 15) / 2]]
    assert WithSpread(Ensemble(members))(x).tolist() == [[3, 7.5, 0, 7.5]]
    both = Ensemble(members, reverse_complement=True)
    # Views of output 0: 3 and, from the reverse complement GTTT, 0. Of output 1: 0, 15, 3, 0.
    assert both(x).tolist() == [[1.5, 4.5]]


def test_a_member_of_one_strand_has_one_view():
    ensemble = Ensemble([Times(1), Times(3)], reverse_complement=True, forward_only=[1])
    x = hot(["AAAC"])
    assert ensemble.views(x).tolist() == [[[3, 0]], [[9, 0]], [[0, 3]]]
    assert ensemble(x).tolist() == [[4, 1]]
    forms = ensemble.with_members([Times(2), Times(6)])
    assert forms(x).tolist() == [[8, 2]]


def test_a_member_reads_more_positions_than_the_ensemble_has():
    class Ends(nn.Module):
        def forward(self, x_BCL):
            assert x_BCL.shape[2] == 20
            return x_BCL.sum(dim=(1, 2))[:, None]

    assert Member(Ends(), [0], 20)(hot(["ACG"])).tolist() == [[3]]
