"""All cards of public data can be read; available files give the published rows."""

import hashlib
import re

import numpy as np
import pytest

from crmnet.data.dataset import Dataset
from crmnet.data.registry import Checksum, WrongChecksum, cards, checksum_of, find_card, verify
from support import SHARED, needs_shared

AVAILABLE = {
    "random-complex": 2954,
    "random-defined": 5289,
    "random-complex-unfiltered": 3331,
    "random-complex-conv": 2954,
    "random-complex-transformer": 2954,
    "random-complex-danq": 2954,
    "random-complex-deepatt": 2954,
    "random-complex-deepsea": 2954,
    "random-defined-conv": 5289,
    "random-defined-transformer": 5289,
    "drift-complex": 2983,
    "drift-defined": 2986,
    "drift-delta-complex": 2983,
    "drift-delta-defined": 2986,
    "high-quality-complex": 9982,
    "dream-demo": 6370,
}


def test_every_card_has_what_fetching_needs():
    for name, card in cards().items():
        assert card.name == name and card.about and card.origin.citation and card.origin.licence
        # Either the card holds the checksum, or its Zenodo record does.
        assert bool(checksum_of(card)) == (not card.origin.record), name
        assert card.holds_rows or card.rows is None
        assert bool(card.origin.url) != bool(card.origin.record)
        if card.sha256:
            assert len(card.sha256) == 64
        if card.git_blob:
            assert len(card.git_blob) == 40
        # The name of the licence, or the page that states it.
        assert re.fullmatch(
            r"MIT|CC BY 4\.0|see (github\.com/[\w-]+/[\w-]+|zenodo\.org/records/\d+)",
            card.origin.licence,
        ), name
    origins = {(card.origin.name, card.path) for card in cards().values()}
    assert len(origins) == len(cards())


def test_unknown_names_suggest_similar_ones():
    with pytest.raises(ValueError, match="'random_complex'; did you mean 'random-"):
        find_card("random_complex")


def test_checksums_by_hand(tmp_path):
    file = tmp_path / "file"
    file.write_bytes(b"what is up, doc?")
    # The example in the Git book, chapter 10.2.
    verify(file, Checksum("git_blob", "bd9dbf5aae1a3862dd1526723246b20206e5fc37"))
    for kind in ("md5", "sha256"):
        verify(file, Checksum(kind, hashlib.new(kind, b"what is up, doc?").hexdigest()))
        with pytest.raises(WrongChecksum, match=f"another version: its {kind} is"):
            verify(file, Checksum(kind, "0"))


@needs_shared
@pytest.mark.parametrize("name", AVAILABLE)
def test_public_files_ingest_by_name_with_the_published_rows(crmnet, tmp_path, name):
    words = ("data", "ingest", name, "--from", SHARED / "data", "-o", tmp_path / "set")
    status, _, err = crmnet(*words)
    assert status == 0, err
    dataset = Dataset.open(tmp_path / "set")
    card = find_card(name)
    assert len(dataset) == card.rows == AVAILABLE[name]
    assert dataset.media == [card.medium]
    assert dataset.units[card.medium] == (card.unit or "sorting bin")
    assert np.isfinite(dataset.labels).all()


def test_files_without_measurements_are_not_ingested(crmnet, tmp_path):
    status, _, err = crmnet("data", "ingest", "dream-plasmid", "-o", tmp_path / "set")
    assert status == 2
    assert "dream-plasmid (plasmid sequence) holds no measurements" in err


def test_the_list_shows_every_card(crmnet, tmp_path):
    status, out, _ = crmnet("data", "list", "--cache", tmp_path)
    assert status == 0
    header, *lines, place = out.splitlines()
    assert header.split()[:2] == ["name", "rows"]
    assert [line.split()[0] for line in lines] == list(cards())
    assert place == f"cache: {tmp_path}"
    line = next(line for line in lines if line.startswith("complex-train "))
    assert "30,722,376" in line and " no " in line
