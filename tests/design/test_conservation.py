"""Expression conservation coefficients by hand, on haplotypes of a few bases."""

import numpy as np
import pytest
import torch
from torch import nn

from crmnet.design.conservation import (
    Haplotypes,
    align,
    conservation,
    log_ratio,
    random_mutants,
    weighted_sd,
)
from crmnet.design.conservation_tables import read_haplotypes
from crmnet.prediction.predictor import Predictor
from crmnet.sequence import ADAPTER_3, ADAPTER_5, LENGTH, decode


class Linear(nn.Module):
    """``(B, 4, L)`` → ``(B, 1)``, a weight for each base and position."""

    def __init__(self, weights):
        super().__init__()
        self.weights = nn.Parameter(torch.tensor(np.array(weights), dtype=torch.float32))

    def forward(self, x_BCL):
        return (x_BCL * self.weights).sum(dim=(1, 2))[:, None]


def step(length, small=()):
    """Every base but A adds 2; at position, base in ``small`` it adds 0.5."""
    weights = np.full((4, length), 2.0)
    weights[0] = 0
    for position, base in small:
        weights["ACGT".index(base), position] = 0.5
    return Linear(weights)


def constructs():
    weights = np.full((4, LENGTH), 2.0)
    weights[0] = 0
    return Predictor(Linear(weights).eval(), ["complex"], torch.device("cpu"))


def test_the_weighted_standard_deviation_by_hand():
    # 6 times 0 and 2 times 4: mean 1, variance (6 · 1 + 2 · 9) / 8 = 3.
    assert weighted_sd([0, 4], [6, 2]) == pytest.approx(np.sqrt(3))
    assert weighted_sd([5], [7]) == 0
    # The mean of equal values, weighted by fractions, is not exactly their value.
    assert weighted_sd([7.7] * 3, [0.3, 0.3, 0.1]) == 0


def test_ecc_by_hand():
    # One haplotype differs from the consensus, by a mutation that adds 0.5 where all others add 2:
    # its sd is a quarter of that of random mutants, whatever base they change.
    gene = Haplotypes("g", ["AAAA", "CAAA"], [6, 2])
    found = conservation(step(4, [(0, "C")]), [gene], simulations=2, seed=1)
    drawn = found.sd_random / found.sd[:, None]
    # Chance can draw the observed mutation itself; with this seed it does not.
    np.testing.assert_allclose(drawn, 4, rtol=1e-5)
    np.testing.assert_allclose(found.null, 0, atol=1e-6)
    assert found.ecc.tolist() == pytest.approx([2])
    assert found.sd.tolist() == pytest.approx([0.5 * np.sqrt(6 * 2) / 8])
    assert found.mutations.tolist() == [0.25]
    assert found.isolates.tolist() == [8]
    assert found.expression.tolist() == [0]


def test_the_null_is_the_median_over_genes():
    # Random mutants of each gene always have the same sd, so the null is 0 and only the gene whose
    # haplotype has no effect is conserved: its coefficient is not defined.
    model = Linear([[0, 0, 0, 0], [0, 2, 2, 2], [0, 2, 2, 2], [0, 2, 2, 2]])
    genes = [
        Haplotypes("silent", ["AAAA", "CAAA"], [1, 1]),
        Haplotypes("changed", ["AAAA", "AGAA"], [1, 1]),
    ]
    found = conservation(model, genes, simulations=3)
    assert np.isnan(found.ecc[0])
    assert found.sd.tolist() == [0, 1]
    single = conservation(model, genes[1:], simulations=3)
    np.testing.assert_array_equal(found.sd_random[1], single.sd_random[0])


def test_the_null_is_subtracted():
    weights = np.random.default_rng(0).normal(size=(4, 12))
    genes = [
        Haplotypes(f"g{n}", ["ACGTACGTACGT", text], [3, 2])
        for n, text in enumerate(["ACGTACGTACGA", "TCGTACGTACGT", "ACGGGCGTACGT"])
    ]
    found = conservation(Linear(weights), genes, simulations=1, seed=4)
    raw = np.log2(found.sd_random[:, 0] / found.sd)
    np.testing.assert_allclose(found.ecc, raw - found.null[0])
    more = conservation(Linear(weights), genes, simulations=2, seed=4)
    # The second set of mutants of one simulation is the first of the next.
    second = more.sd_random[:, 1]
    np.testing.assert_allclose(found.null[0], np.median(np.log2(found.sd_random[:, 0] / second)))


def test_haplotypes_of_another_length_are_left_out_and_counted():
    gene = Haplotypes("g", ["AAAA", "AAAAC", "CAAA", "AAA"], [5, 3, 2, 1])
    aligned = align(gene)
    assert decode(aligned.tokens) == ["AAAA", "CAAA"]
    assert aligned.left_out == 2
    found = conservation(constructs(), [gene])
    assert (found.haplotypes.tolist(), found.left_out.tolist()) == ([2], [2])
    assert found.isolates.tolist() == [7]


def test_the_most_frequent_length_counts_individuals_not_haplotypes():
    assert align(Haplotypes("g", ["AA", "CCC", "CCG"], [9, 1, 1])).left_out == 2


def test_n_is_the_base_of_the_consensus():
    aligned = align(Haplotypes("g", ["NAAA", "CANA", "CNAA"], [1, 4, 2]))
    assert decode(aligned.consensus[None]) == ["CAAA"]
    assert decode(aligned.tokens) == ["CAAA"] * 3
    assert aligned.differences.tolist() == [0, 0, 0]
    unknown = align(Haplotypes("g", ["ANC", "GNC"], [2, 1]))
    mutants = random_mutants(unknown, np.random.default_rng(0))
    assert set(mutants[:, 1].tolist()) == {4}


def test_random_mutants_have_as_many_differences_as_the_haplotypes():
    gene = align(Haplotypes("g", ["ACGTACGT", "ACGTACGA", "TCGAACGA", "TGCATGCA"], [9, 1, 1, 1]))
    assert gene.differences.tolist() == [0, 1, 3, 8]
    for seed in range(20):
        mutants = random_mutants(gene, np.random.default_rng(seed))
        assert (mutants != gene.consensus).sum(axis=1).tolist() == [0, 1, 3, 8]
        assert mutants.max() < 4


def test_simulations_are_seeded_by_gene():
    model = Linear(np.random.default_rng(0).normal(size=(4, 8)))
    genes = [Haplotypes(name, ["ACGTACGT", "ACGTACGA"], [2, 1]) for name in "abc"]
    found = conservation(model, genes, seed=3)
    turned = conservation(model, genes[::-1], seed=3)
    np.testing.assert_array_equal(found.sd_random, turned.sd_random[::-1])
    assert (found.sd_random != conservation(model, genes, seed=4).sd_random).any()
    assert (found.sd_random[0] != found.sd_random[1]).any()


def test_adapters_do_not_mutate():
    inserts = ["AAAAAAAA", "AAAACAAA"]
    whole = [ADAPTER_5 + text + ADAPTER_3 for text in inserts]
    a = conservation(constructs(), [Haplotypes("g", inserts, [3, 1])])
    b = conservation(constructs(), [Haplotypes("g", whole, [3, 1])])
    np.testing.assert_array_equal(a.sd_random, b.sd_random)
    np.testing.assert_array_equal(a.ecc, b.ecc)


def test_one_haplotype_has_no_coefficient():
    found = conservation(constructs(), [Haplotypes("g", ["ACGT"], [4])])
    assert np.isnan(found.ecc[0])
    assert found.to_table()["haplotypes"].to_list() == [1]
    assert np.isnan(log_ratio([0, 1], [1, 0])).all()


def test_a_table_of_haplotypes(tmp_path, caplog):
    table = tmp_path / "h.tsv"
    table.write_text("proName\tortho_seq\tn\ng1\tACGT\t3\ng2\tAAAA\t1\ng1\tacgn\t2\n")
    found = read_haplotypes(table, {"gene": "proName", "sequence": "ortho_seq", "isolates": "n"})
    assert found == [Haplotypes("g1", ["ACGT", "acgn"], [3, 2]), Haplotypes("g2", ["AAAA"], [1])]
    with caplog.at_level("INFO"):
        counted = read_haplotypes(table, {"gene": "proName", "sequence": "ortho_seq"})
    assert counted[0].isolates == [1, 1]
    assert "each haplotype counts once" in caplog.text


@pytest.mark.parametrize(
    ("text", "message"),
    [("gene\tsequence\tisolates\ng\tACGX\t1\n", "line 2: the sequence: letter 'X' at position 4"),
     ("gene\tsequence\tisolates\ng\tACGT\t0\n", "line 2: isolates must be above 0; got 0"),
     ("gene\tsequence\tisolates\ng\tACGT\tmany\n", "line 2: isolates 'many' is not a number"),
     ("gene\tsequence\tisolates\ng\tACGT\t1\n \tACGT\t1\n", "line 3: the row names no gene"),
     ("gene\tsequence\tisolates\n", "holds no haplotypes"),
     (">g\nACGT\n", "has no genes"),
     ("name\tsequence\ng\tACGT\n", "no column 'gene'")],
)  # fmt: skip
def test_bad_tables_are_refused(tmp_path, text, message):
    table = tmp_path / "h.tsv"
    table.write_text(text)
    with pytest.raises(ValueError, match=message):
        read_haplotypes(table)


def test_bad_haplotypes_are_refused():
    with pytest.raises(ValueError, match="there are no haplotypes"):
        conservation(constructs(), [])
    with pytest.raises(ValueError, match="'g' has 200 bases"):
        conservation(constructs(), [Haplotypes("g", ["A" * 200], [1])])
    with pytest.raises(ValueError, match="g: numbers of isolates must be above 0"):
        conservation(constructs(), [Haplotypes("g", ["A"], [0])])
    with pytest.raises(ValueError, match="one length; got 1 to 2"):
        conservation(step(2), [Haplotypes("g", ["A", "AC"], [1, 1])])
    with pytest.raises(ValueError, match="simulations must be at least 1"):
        conservation(constructs(), [Haplotypes("g", ["A"], [1])], simulations=0)
