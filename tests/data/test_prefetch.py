"""Reading files concurrently gives the same data set as reading them one after the other."""

import gzip
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crmnet.data import reading
from crmnet.data.ingest import IngestOptions, ingest
from crmnet.data.prefetch import read_concurrently
from crmnet.data.rejections import TooManyRejected

lines = st.lists(
    st.tuples(st.text("ACGT", min_size=1, max_size=90), st.integers(0, 170)).map(
        lambda row: f"{row[0]}\t{row[1] / 10}"
    )
    | st.sampled_from(["ACXT\t1", "ACGT\tx", "ACGT"]),
    max_size=30,
)


@given(st.lists(lines, min_size=2, max_size=5), st.booleans(), st.booleans())
@settings(max_examples=20, deadline=None, derandomize=True)
def test_the_data_set_does_not_depend_on_the_number_of_threads(
    tmp_path_factory, contents, cells, packed
):
    folder = tmp_path_factory.mktemp("prefetch")
    files = []
    for number, rows in enumerate(contents):
        path = folder / f"rows{number}.tsv"
        more = "\t1" if cells else ""
        head = "sequence\texpression" + ("\tcells" if cells else "")
        text = "\n".join([head, f"ACGT\t1{more}", *(f"{row}{more}" for row in rows)])
        path.write_bytes(gzip.compress(text.encode()) if number % 2 else text.encode())
        files.append(path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "BLOCK_BYTES", 300)
        made = [
            ingest(files, folder / f"set{jobs}",
                   IngestOptions(max_rejected=1, jobs=jobs, packed=packed))
            for jobs in (1, 2, 7)
        ]  # fmt: skip
    first, *others = ({f.name: f.read_bytes() for f in one.path.iterdir()} for one in made)
    assert all(other == first for other in others)
    assert not any(name.startswith("prefetch") for name in first)


def test_an_error_in_a_later_file_is_raised_and_nothing_is_left(tmp_path):
    (tmp_path / "good.tsv").write_text("ACGT\t1\n")
    (tmp_path / "cut.tsv").write_bytes(gzip.compress(b"ACGT\t1\n" * 9000)[:-20])
    files = [tmp_path / "good.tsv", tmp_path / "cut.tsv"]
    with pytest.raises(ValueError, match=r"cut\.tsv is damaged or truncated"):
        ingest(files, tmp_path / "set", IngestOptions(jobs=2))
    (tmp_path / "cut.tsv").write_text("AX\t1\nACGT\t1\n" * 60_000)
    with pytest.raises(TooManyRejected):
        ingest(files, tmp_path / "set", IngestOptions(jobs=2))
    assert sorted(tmp_path.iterdir()) == sorted(files)


def test_prefetching_stops_when_the_consumer_stops(tmp_path):
    started, may_continue = threading.Event(), threading.Event()

    def endless():
        yield None, []
        started.set()
        may_continue.wait(60)
        while True:
            yield None, []

    files = read_concurrently([lambda: iter([(None, [])]), endless], 2, tmp_path)
    assert list(next(files)) == [(None, [])]
    assert started.wait(60)
    may_continue.set()
    files.close()  # would hang on the endless file if it did not stop
    assert not list(tmp_path.iterdir())
