import numpy as np
import pytest
import torch

from crmnet.data.augment import random_reverse_complement, random_shift
from crmnet.sequence import decode, encode, fit_length, reverse_complement


def tokens(*texts, length=8):
    return torch.from_numpy(fit_length(*encode(texts), length))


def test_a_share_of_one_reverse_complements_all_rows():
    rows = tokens("AACG", "ACGTACGT", "TTNAC", "N")
    changed = random_reverse_complement(rows, 1.0)
    assert decode(changed.numpy()) == ["CGTT", "ACGTACGT", "GTNAA", ""]
    np.testing.assert_array_equal(changed.numpy(), reverse_complement(rows.numpy()))
    assert changed.dtype == torch.uint8


def test_a_share_of_zero_changes_nothing_and_of_half_about_half():
    rows = tokens("AAAA").repeat(1000, 1)
    torch.manual_seed(0)
    assert torch.equal(random_reverse_complement(rows, 0.0), rows)
    changed = (random_reverse_complement(rows, 0.5)[:, 0] == 3).sum().item()
    assert 430 < changed < 570  # 500 ± 4.4 standard deviations


def test_shifts_move_and_fill_with_n():
    rows = tokens("ACGTACGT").repeat(400, 1)
    torch.manual_seed(0)
    texts = {"".join("ACGTN"[t] for t in row) for row in random_shift(rows, 2).tolist()}
    assert texts == {"GTACGTNN", "CGTACGTN", "ACGTACGT", "NACGTACG", "NNACGTAC"}


@pytest.mark.parametrize(
    "augment", [lambda t: random_reverse_complement(t, 0.5), lambda t: random_shift(t, 3)]
)
def test_the_generator_determines_the_result(augment):
    rows = torch.randint(4, (50, 20), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    results = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        results.append(augment(rows))
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])
