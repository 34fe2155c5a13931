"""Tables of one promoter hold the numbers of the JSON."""

import csv
import io

from crmnet.serve.tables import attribution_table, map_table, site_table

MEDIA = ["complex", "defined"]
BARE = {"position_of_insert": {"start": 1, "length": 3}}
SITE = {"name": "REB1", "matrix_id": "MA1", "start": 3, "end": 9, "strand": "-",
        "score": 9.5, "p_value": 1e-5, "contribution": {"complex": 1.5}}  # fmt: skip
CONSTRUCT = {"position_of_insert": {"start": 18, "length": 3}}


def rows(text):
    return list(csv.DictReader(io.StringIO(text), delimiter="\t"))


def grid(offset):
    """Row A holds 10, 11, 12; row C 20, 21, 22; and so on, plus an offset."""
    return [[10.0 * row + column + offset for column in range(3)] for row in range(1, 5)]


def test_the_map_has_a_row_for_each_substitution():
    effect = {"complex": grid(0), "defined": grid(100)}
    found = rows(map_table({"insert": "GNA", "media": MEDIA, "effect": effect, **BARE}))
    assert [row["variant"] for row in found] == ["1G>A", "1G>C", "1G>T", "3A>C", "3A>G", "3A>T"]
    assert found[1] == {"variant": "1G>C", "position": "1", "from": "G", "to": "C",
                        "delta_complex": "20.0", "delta_defined": "120.0"}  # fmt: skip
    assert [float(row["delta_complex"]) for row in found] == [10, 20, 40, 22, 32, 42]


def test_attributions_have_the_observed_and_all_bases():
    answer = {"insert": "TNC", "media": MEDIA, "values": {"complex": grid(0), "defined": grid(5)},
              **BARE}  # fmt: skip
    found = rows(attribution_table(answer))
    assert [row["attribution_complex"] for row in found] == ["40.0", "0.0", "22.0"]
    assert [row["attribution_defined"] for row in found] == ["45.0", "0.0", "27.0"]
    assert [row["G_complex"] for row in found] == ["30.0", "31.0", "32.0"]
    assert [row["position"] for row in found] == ["1", "2", "3"]


def test_sites_with_and_without_contributions():
    (row,) = rows(site_table({"sites": [SITE], **BARE}))
    assert row["contribution_complex"] == "1.5" and (row["start"], row["end"]) == ("3", "9")
    (row,) = rows(site_table({"sites": [SITE | {"contribution": None}], **BARE}))
    assert row["strand"] == "-" and "contribution_complex" not in row
    assert rows(site_table({"sites": [], **BARE})) == []


def test_positions_are_those_of_the_construct_that_was_given():
    answer = {"insert": "GNA", "media": ["complex"], "effect": {"complex": grid(0)}, **CONSTRUCT}
    found = rows(map_table(answer))
    assert [row["variant"] for row in found][2:4] == ["18G>T", "20A>C"]
    assert [row["position"] for row in found] == ["18"] * 3 + ["20"] * 3
    found = rows(attribution_table(answer | {"values": {"complex": grid(0)}}))
    assert [row["position"] for row in found] == ["18", "19", "20"]
    (row,) = rows(site_table({"sites": [SITE], **CONSTRUCT}))
    assert (row["start"], row["end"]) == ("20", "26")
