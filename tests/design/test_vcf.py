"""Variants of a VCF: how records are read, and effects against predictions made by hand."""

import gzip
import itertools
import tracemalloc

import numpy as np
import pytest

from crmnet.design.effects import MutateOptions, Scorer
from crmnet.design.genome import Genome, Region, Regions, reverse_complement
from crmnet.design.oracle import Oracle
from crmnet.design.vcf import Record, kind_of, read_vcf
from crmnet.design.vcf_effects import Place, VcfCounts, mutate_vcf, vcf_blocks
from crmnet.design.windows import WindowOptions
from crmnet.prediction.random_effects import RandomVariants
from small_models import Additive, additive_predictor

HEADER = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
RNG = np.random.default_rng(4)
BASES = bytes(RNG.choice(list(b"ACGT"), 400).tolist())
FEW = MutateOptions(sites=False, random=RandomVariants(3, 4))


def vcf(path, *records, header=HEADER):
    """A VCF of records (position, REF, ALT) of chr1, or complete lines."""
    lines = [
        r if isinstance(r, str) else f"chr1\t{r[0]}\t.\t{r[1]}\t{r[2]}\t.\t.\t." for r in records
    ]
    path.write_text(header + "".join(line + "\n" for line in lines))
    return path


def base(position):
    return chr(BASES[position - 1])


def other(position):
    return "ACGT"[("ACGT".index(base(position)) + 1) % 4]


def effects(path, regions=None, **options):
    place = Place(
        Genome({"chrI": BASES}, "genome.fa"), None if regions is None else Regions(regions),
        WindowOptions(**options),
    )  # fmt: skip
    counts = VcfCounts()
    scorer = Scorer(Oracle(additive_predictor()), FEW)
    return list(vcf_blocks(scorer, path, place, counts)), counts


def predicted(*texts):
    return additive_predictor().predict([text.decode() for text in texts], flanks="add")


# -- reading -----------------------------------------------------------------------------------


def test_records_are_read_with_their_lines(tmp_path):
    path = vcf(tmp_path / "v.vcf", "chr1\t5\trs1\tac\tg,*,<DEL>\t.\t.\t.\tGT\t0/1", (9, "A", "."))
    found = list(read_vcf(path))
    name = str(path)
    assert found == [
        Record(3, "chr1", 5, "rs1", b"AC", [b"G", b"*", b"<DEL>"], name),
        Record(4, "chr1", 9, "", b"A", [b"."], name),
    ]
    assert found[0].where == f"{path}, line 3: record chr1:5"
    for suffix, compress in ((".gz", gzip.compress), (".bgz", lambda t: b"".join(
            gzip.compress(line) for line in t.splitlines(keepends=True)))):  # fmt: skip
        packed = tmp_path / f"v.vcf{suffix}"
        packed.write_bytes(compress(path.read_bytes()))
        assert [r._replace(file=name) for r in read_vcf(packed)] == found


@pytest.mark.parametrize(
    ("alt", "kind"),
    [("A", "sequence"), ("*", "spanning_deletion"), (".", "no_alternative"), ("<DEL>", "symbolic"),
     ("G]17:198982]", "breakend"), ("]13:123456]T", "breakend"), (".A", "breakend")],
)  # fmt: skip
def test_kinds_of_alternatives(alt, kind):
    assert kind_of(alt.encode()) == kind


@pytest.mark.parametrize(
    ("line", "message"),
    [("chr1 5 . A G", "at least 5 columns separated by tabs"),
     ("chr1\tx\t.\tA\tG", "POS must be a number from 1; got 'x'"),
     ("chr1\t0\t.\tA\tG", "POS must be a number from 1; got '0'"),
     ("chr1\t5\t.\tAR\tG", "REF must consist of A, C, G, T and N; got 'AR'"),
     ("chr1\t5\t.\tA\tG,R", "ALT must consist of A, C, G, T and N; got 'R'"),
     ("chr1\t5\t.\t\tG", "REF must consist")],
)  # fmt: skip
def test_a_line_that_is_no_record_is_named(tmp_path, line, message):
    with pytest.raises(ValueError, match=rf"v\.vcf, line 3: .*{message}"):
        list(read_vcf(vcf(tmp_path / "v.vcf", line)))


def test_a_file_without_records_is_refused(tmp_path):
    for header in (HEADER, "\n"):
        with pytest.raises(ValueError, match=r"v\.vcf holds no variants"):
            list(read_vcf(vcf(tmp_path / "v.vcf", header=header)))
    (tmp_path / "v.bcf").write_bytes(gzip.compress(b"BCF\2\2abc"))
    with pytest.raises(ValueError, match="is BCF; convert it with `bcftools view"):
        list(read_vcf(tmp_path / "v.bcf"))


# -- effects -----------------------------------------------------------------------------------


def test_substitutions_in_promoters_on_both_strands(tmp_path):
    regions = [Region("chrI", 100, 180, "+", "left"), Region("chrI", 150, 230, "-", "right")]
    path = vcf(tmp_path / "v.vcf", (161, base(161), other(161)), (300, base(300), other(300)))
    (found,), counts = effects(path, regions)
    assert found.ids == ["left", "right"] and found.more["strand"] == ["+", "-"]
    assert found.variants == [f"chr1:161{base(161)}>{other(161)}"] * 2
    assert found.context == ["genome"] * 2 and found.more["windows"] == [1, 1]
    changed = BASES[:160] + other(161).encode() + BASES[161:]
    wild = predicted(BASES[100:180], reverse_complement(BASES[150:230]))
    variant = predicted(changed[100:180], reverse_complement(changed[150:230]))
    np.testing.assert_allclose(found.effects.reference, wild, atol=1e-5)
    np.testing.assert_allclose(found.effects.variant, variant, atol=1e-5)
    np.testing.assert_allclose(found.effects.delta, variant - wild, atol=1e-5)
    assert (counts.records, counts.alternatives, counts.outside) == (2, 2, 1)


def test_indels_keep_the_length_and_the_end_next_to_the_gene(tmp_path):
    regions = [Region("chrI", 100, 180, "+", "p"), Region("chrI", 100, 180, "-", "m")]
    at = 141
    deletion = (at, BASES[at - 1 : at + 4].decode(), base(at))  # four bases, 141 to 144 from 0
    path = vcf(tmp_path / "v.vcf", deletion, (at, base(at), base(at) + "TTAGG"))
    (found,), _ = effects(path, regions)
    without = BASES[:141] + BASES[145:]
    inserted = BASES[:141] + b"TTAGG" + BASES[141:]
    expected = predicted(
        without[96:176], reverse_complement(without[100:180]),
        inserted[105:185], reverse_complement(inserted[100:180]),
    )  # fmt: skip
    assert found.ids == ["p", "m", "p", "m"]
    np.testing.assert_allclose(found.effects.variant, expected, atol=1e-5)


def test_alternatives_have_a_row_each_and_those_without_a_sequence_a_flag(tmp_path):
    alts = f"{other(161)},*,<DEL>,{base(161)}AC"
    path = vcf(tmp_path / "v.vcf", (161, base(161), alts), (165, base(165), "."))
    (found,), counts = effects(path, [Region("chrI", 100, 180, "+", "p")])
    assert [v.split(">", 1)[1] for v in found.variants] == [*alts.split(","), "."]
    assert found.effects.flags == ["", "spanning_deletion", "symbolic", "", "no_alternative"]
    known = np.isfinite(found.effects.delta[:, 0]).tolist()
    assert known == [True, False, False, True, False]
    assert counts.without_sequence == {"spanning_deletion": 1, "symbolic": 1, "no_alternative": 1}


def test_an_alternative_outside_the_promoters_is_counted_once(tmp_path):
    records = [(position, base(position), "<DEL>") for position in (150, 300)]
    (found,), counts = effects(
        vcf(tmp_path / "v.vcf", *records), [Region("chrI", 100, 180, "+", "p")]
    )
    assert found.effects.flags == ["symbolic"]
    assert (counts.outside, counts.without_sequence) == (1, {"symbolic": 1})


@pytest.mark.parametrize("strand", ["+", "-", "both"])
def test_windows_around_a_variant_are_averaged(tmp_path, strand):
    path = vcf(tmp_path / "v.vcf", (201, base(201), other(201)))
    (found,), _ = effects(path, offsets=(15, 40, 65), strand=strand)
    changed = BASES[:200] + other(201).encode() + BASES[201:]
    plus = [(200 - offset + 1, "+") for offset in (15, 40, 65)]
    minus = [(200 + offset - 80, "-") for offset in (15, 40, 65)]
    windows = {"+": plus, "-": minus, "both": plus + minus}[strand]

    def mean(text):
        parts = [text[start : start + 80] for start, _ in windows]
        parts = [reverse_complement(p) if side == "-" else p
                 for p, (_, side) in zip(parts, windows, strict=True)]  # fmt: skip
        return predicted(*parts).mean(axis=0)

    assert found.more == {"strand": [strand], "windows": [len(windows)]}
    assert found.ids == ["chr1:201"]
    np.testing.assert_allclose(found.effects.reference[0], mean(BASES), atol=1e-5)
    np.testing.assert_allclose(found.effects.variant[0], mean(changed), atol=1e-5)


def test_a_long_promoter_has_windows_inside_it(tmp_path):
    path = vcf(tmp_path / "v.vcf", (121, base(121), other(121)))
    (found,), _ = effects(path, [Region("chrI", 100, 300, "+", "p")])
    assert found.more["windows"] == [2]  # offsets 15, and 40 and 65 moved to the first base
    starts = [106, 100]
    wild = predicted(*(BASES[s : s + 80] for s in starts)).mean(axis=0)
    np.testing.assert_allclose(found.effects.reference[0], wild, atol=1e-5)


@pytest.mark.parametrize(
    ("record", "message"),
    [((161, "{other}", "{base}"), "line 3: record chr1:161: REF has {other} at base 161 of chrI, "
      "where genome.fa has {base}"),
     ((161, "{base}{base2}{other3}", "A"), "REF has {other3} at base 163 of chrI"),
     ((400, "{base400}A", "A"), "record chr1:400 lies beyond the end of chrI, which has 400 bases"),
     ((161, "{base}", "{base}"), "record chr1:161: REF and ALT are both {base}"),
     ("chr7\t5\t.\tA\tG", "record chr7:5: contig 'chr7' is not in genome.fa, which has chrI")],
)  # fmt: skip
def test_a_record_that_does_not_fit_the_genome_is_named(tmp_path, record, message):
    words = {"base": base(161), "other": other(161), "base2": base(162), "other3": other(163),
             "base400": base(400)}  # fmt: skip
    if not isinstance(record, str):
        record = tuple(str(part).format(**words) for part in record)
    with pytest.raises(ValueError, match=message.format(**words)):
        effects(vcf(tmp_path / "v.vcf", record), [Region("chrI", 100, 180, "+", "p")])


def test_an_unknown_base_of_the_genome_fits_every_ref(tmp_path):
    place = Place(Genome({"chr1": BASES[:160] + b"N" + BASES[161:]}), None, WindowOptions())
    scorer = Scorer(Oracle(additive_predictor()), FEW)
    path = vcf(tmp_path / "v.vcf", (161, "A", "G"))
    (found,) = vcf_blocks(scorer, path, place, VcfCounts())
    assert np.isfinite(found.effects.delta).all()


def test_blocks_have_the_rows_of_one_block_and_equal_references_are_predicted_once(
    tmp_path, monkeypatch
):
    regions = [Region("chrI", 100, 180, "+", "p")]
    records = [(p, base(p), ",".join(b for b in "ACGT" if b != base(p))) for p in range(110, 140)]
    path = vcf(tmp_path / "v.vcf", *records)
    (whole,), _ = effects(path, regions)
    monkeypatch.setattr("crmnet.design.vcf_effects.BLOCK", 7)
    parts, _ = effects(path, regions)
    assert len(parts) == 13
    names = itertools.chain.from_iterable(part.variants for part in parts)
    assert list(names) == whole.variants and len(whole) == 90
    delta = np.concatenate([part.effects.delta for part in parts])
    np.testing.assert_allclose(delta, whole.effects.delta, atol=1e-5)


def test_memory_does_not_grow_with_the_file(tmp_path):
    """Of 30,000 records beside one in a promoter, no more is kept than of 300."""
    peaks = []
    for many in (300, 30_000):
        records = [(p, base(p), other(p)) for p in [161, *[300] * many]]
        path = vcf(tmp_path / "v.vcf", *records)
        tracemalloc.start()
        blocks, counts = effects(path, [Region("chrI", 100, 180, "+", "p")])
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert counts.records == many + 1 and [len(block) for block in blocks] == [1]
    assert peaks[1] < peaks[0] + 8e6  # a chunk of text is 2 MB


def test_sites_do_not_reach_into_the_adapters(tmp_path):
    """The window ends in TTACC; with CGG of an adapter-like neighbour it would be REB1's site."""
    contig = b"AGCTC" * 20 + b"TTACC" + b"AAAAA" * 20
    place = Place(Genome({"c": contig}), Regions([Region("c", 25, 105, "+", "p")]), WindowOptions())
    scorer = Scorer(Oracle(additive_predictor()), MutateOptions(random=RandomVariants(3, 4)))
    path = vcf(tmp_path / "v.vcf", "c\t104\t.\tC\tG\t.")
    (found,) = vcf_blocks(scorer, path, place, VcfCounts())
    assert "REB1" not in found.effects.lost[0].split(";")


def test_one_call_reads_all_files(tmp_path):
    (tmp_path / "g.fa").write_bytes(b">chrI\n" + BASES + b"\n")
    (tmp_path / "p.bed").write_text("chrI\t100\t180\tp\t0\t+\n")
    path = vcf(tmp_path / "v.vcf", (161, base(161), other(161)))
    found = mutate_vcf(additive_predictor(), path, tmp_path / "g.fa", tmp_path / "p.bed",
                       medium="b", options=FEW)  # fmt: skip
    (expected,), _ = effects(path, [Region("chrI", 100, 180, "+", "p")])
    assert found.media == ("b",)
    np.testing.assert_array_equal(found.effects.delta[:, 0], expected.effects.delta[:, 1])
    assert found.to_table().columns[:5] == ["id", "variant", "context", "strand", "windows"]


def test_a_module_is_refused_with_advice(tmp_path):
    path, genome = vcf(tmp_path / "v.vcf", (100, base(100), other(100))), tmp_path / "g.fa"
    genome.write_text(f">chr1\n{BASES.decode()}\n")
    with pytest.raises(ValueError, match=r"must be a Predictor; got Additive; wrap a module in"):
        mutate_vcf(Additive(), path, genome, options=FEW)
    assert len(mutate_vcf(additive_predictor(), path, genome, options=FEW)) == 1
