"""Contigs, their names, and promoters."""

import gzip

import pytest

from crmnet.design.genome import Genome, Region, Regions, read_regions, reverse_complement

ROMAN = "I II III IV V VI VII VIII IX X XI XII XIII XIV XV XVI".split()


def genome(*names, length=100):
    return Genome(dict.fromkeys(names, b"ACGT" * (length // 4)), "genome.fa")


@pytest.mark.parametrize(
    "style",
    ["chr{r}", "{r}", "chr{n}", "{n}", "chromosome{n}", "Chr{n:02d}", "chromosome_{r}",
     "NC_{a:06d}.2", "ref|NC_{a:06d}|"],
)  # fmt: skip
@pytest.mark.parametrize("of_genome", ["chr{r}", "{r}", "chr{n}", "NC_{a:06d}.9"])
def test_names_of_yeast_contigs_translate(style, of_genome):
    def named(form):
        return [form.format(r=r, n=n, a=1132 + n) for n, r in enumerate(ROMAN, 1)]

    known = genome(*named(of_genome))
    found = [known.contig(name, "here") for name in named(style)]
    assert found == named(of_genome)
    assert (len(known.translated) == 0) == (named(style) == named(of_genome))


@pytest.mark.parametrize("name", ["chrM", "MT", "chrmt", "Mito", "NC_001224.1"])
def test_names_of_the_mitochondrion_translate(name):
    assert genome("chrI", "chrM").contig(name, "here") == "chrM"


def test_a_name_with_two_readings_is_read_exactly():
    """In a human genome X is not chromosome 10."""
    human = genome(*(str(n) for n in range(1, 23)), "X", "Y")
    assert human.contig("chrX", "here") == "X"
    assert human.contig("chr10", "here") == "10"
    assert human.contig("10", "here") == "10"


@pytest.mark.parametrize("name", ["0", "chr", "chr0", "chr_", "00", ""])
def test_a_name_of_a_prefix_or_zeros_is_a_name(name):
    assert genome(name, "chrI").contig(name, "here") == name
    with pytest.raises(ValueError, match=f"contig '{name}' is not in genome.fa"):
        genome("chrI").contig(name, "here")


def test_contig_zero_has_a_number_and_a_bare_prefix_has_none():
    assert genome("0", "1").contig("chr0", "here") == "0"
    with pytest.raises(ValueError, match=r"contig .chr. is not in genome\.fa"):
        genome("0", "1").contig("chr", "here")


def test_an_unknown_contig_names_the_known_ones():
    with pytest.raises(ValueError, match=r"^v.vcf, line 3: contig 'chrXX' is not in genome.fa, whic"
                                         r"h has chrI, chrII; did you mean"):  # fmt: skip
        genome("chrI", "chrII").contig("chrXX", "v.vcf, line 3")
    with pytest.raises(ValueError, match="plasmid"):
        genome("chrI").contig("plasmid", "here")


def test_a_genome_is_read_from_fasta(tmp_path):
    text = b">c1 first\nacgtN\nRyACGT\n>c2\nTTTT\n"
    (tmp_path / "g.fa").write_bytes(text)
    (tmp_path / "g.fa.gz").write_bytes(gzip.compress(text))
    for name in ("g.fa", "g.fa.gz"):
        found = Genome.read(tmp_path / name)
        assert found.contigs == {"c1": b"ACGTNNNACGT", "c2": b"TTTT"}


@pytest.mark.parametrize(
    ("text", "message"),
    [(">c1\nACGT\n>c1\nACGT\n", r"c1 \(.*g.fa, line 3\): the contig occurs twice"),
     (">c1\nACXT\n", r"c1 \(.*line 1\): letter 'X' at position 3 of 4"),
     (">c1\n>c2\nAC\n", r"c1 \(.*line 1\) is empty")],
)  # fmt: skip
def test_a_damaged_genome_is_refused(tmp_path, text, message):
    (tmp_path / "g.fa").write_text(text)
    with pytest.raises(ValueError, match=message):
        Genome.read(tmp_path / "g.fa")


def bed(tmp_path, text):
    (tmp_path / "p.bed").write_text(text)
    return read_regions(tmp_path / "p.bed", genome("chrI", "chrII"))


def test_promoters_are_read_from_bed(tmp_path):
    found = bed(
        tmp_path,
        "track name=x\n# comment\nchrI\t10\t90\tP1\t0\t-\n1\t0\t80\nchrII 5 85 . 0 +\n\n",
    )
    assert found.regions == [
        Region("chrI", 10, 90, "-", "P1"), Region("chrI", 0, 80, "+", "chrI:1-80"),
        Region("chrII", 5, 85, "+", "chrII:6-85"),
    ]  # fmt: skip
    assert found.without_strand == 1


@pytest.mark.parametrize(
    ("line", "message"),
    [("chrI\t10", "at least 3 columns"), ("chrI\ta\t20", "must be numbers; got 'a' and '20'"),
     ("chrI\t20\t20", "20 to 20 is not a region of chrI, which has 100 bases"),
     ("chrI\t20\t101", "20 to 101 is not a region"), ("chrI\t-1\t10", "-1 to 10 is not"),
     ("chrI\t1\t9\tx\t0\tforward", "strand must be"), ("chrV\t1\t9", "contig 'chrV' is not in")],
)  # fmt: skip
def test_a_bad_line_of_bed_is_named(tmp_path, line, message):
    with pytest.raises(ValueError, match=f"p.bed, line 2: .*{message}"):
        bed(tmp_path, f"chrI\t10\t90\n{line}\n")
    with pytest.raises(ValueError, match="holds no regions"):
        bed(tmp_path, "# nothing\n")


def test_promoters_are_found_by_position():
    regions = Regions([Region("c", 10, 20, "+", "a"), Region("c", 15, 95, "+", "b"),
                       Region("d", 10, 20, "+", "c")])  # fmt: skip

    def names(start, stop):
        return "".join(region.name for region in regions.changed_by("c", start, stop))

    assert [names(p, p + 1) for p in (9, 10, 15, 19, 20, 94, 95)] == [
        "", "a", "ab", "ab", "b", "b", ""
    ]  # fmt: skip
    assert names(0, 11) == "a" and names(94, 99) == "b" and names(0, 10) == ""
    # An insertion needs bases of the promoter on both sides.
    assert [names(p, p) for p in (10, 11, 15, 16, 20, 95)] == ["", "a", "a", "ab", "b", ""]
    assert regions.changed_by("e", 10, 20) == []


def test_the_other_strand():
    assert reverse_complement(b"AACGN") == b"NCGTT"
