"""The API's numbers are those of the commands."""

import csv
import io

import numpy as np
import pytest

from crmnet.design.mutate import mutate, saturate
from crmnet.interpretation.attribute import attribute
from crmnet.motifs.jaspar import yeast_motifs
from crmnet.motifs.scan import ScanOptions, find_sites
from crmnet.prediction.predictor import Predictor
from crmnet.sequence import ADAPTER_3, ADAPTER_5, encode
from crmnet.serve.answers import BadRequest, predicted, prediction_table
from crmnet.serve.examples import EXAMPLES
from crmnet.serve.tables import map_table
from serving import HIS3, TDH3

CLOSE = 1e-5


@pytest.fixture(scope="module")
def predictor(models):
    return models.oracles["yeast-fast"].opened


def one(text=TDH3, **more):
    return {"sequence": text, "model": None, "flanks": "auto", "media": None, **more}


def predict(models, *texts, ids=None, flanks="auto"):
    _, oracle = models.oracle(None)
    promoters = [
        {"id": (ids or texts)[number], "sequence": text} for number, text in enumerate(texts)
    ]
    constructs = models.prepare(oracle, {"promoters": promoters, "flanks": flanks})
    return oracle, constructs, oracle.opened.assess_tokens(constructs.tokens)


def test_predictions_are_those_of_the_predictor(models, predictor):
    oracle, constructs, assessed = predict(models, HIS3, TDH3)
    answer = predicted("yeast-fast", oracle, constructs, assessed)
    expected = predictor.assess([HIS3, TDH3])
    for row, found in enumerate(answer["rows"]):
        for m, medium in enumerate(predictor.media):
            estimate = found["expression"][medium]
            assert estimate["value"] == pytest.approx(expected.expression[row, m], abs=CLOSE)
            percentile = expected.trust.percentile[row, m]
            assert estimate["percentile"] == pytest.approx(percentile, abs=CLOSE)
            low = expected.trust.low[row, m]
            if np.isnan(low):
                assert estimate["low"] is None
            else:
                assert estimate["low"] == pytest.approx(low, abs=CLOSE)
        assert found["unlike_training"]["flag"] == bool(expected.trust.unlike[row])


def test_the_insert_is_found_in_a_construct(models):
    oracle, constructs, assessed = predict(models, ADAPTER_5 + TDH3 + ADAPTER_3, TDH3)
    whole, bare = predicted("yeast-fast", oracle, constructs, assessed)["rows"]
    assert whole["insert"] == bare["insert"] == TDH3
    assert whole["position_of_insert"] == {"start": 18, "length": 80}
    assert bare["position_of_insert"] == {"start": 1, "length": 80}
    assert whole["notes"] == [] and bare["notes"] == ["The adapters of the assay were added."]
    value = whole["expression"]["complex"]["value"]
    assert value == pytest.approx(bare["expression"]["complex"]["value"], abs=CLOSE)


def test_the_table_is_that_of_crmnet_predict(models, crmnet, tmp_path):
    file = tmp_path / "promoters.fasta"
    file.write_text(f">HIS3\n{HIS3}\n>TDH3\n{TDH3}\n")
    status, table, _ = crmnet("predict", "yeast-fast", file, "--digits", "full")
    assert status == 0
    text = prediction_table(*predict(models, HIS3, TDH3, ids=["HIS3", "TDH3"]))["text"]
    of_command, of_api = (list(csv.reader(io.StringIO(t), delimiter="\t")) for t in (table, text))
    assert of_api[0] == of_command[0] and len(of_api) == len(of_command) == 3
    for ours, theirs in zip(of_api[1:], of_command[1:], strict=True):
        for column, a, b in zip(of_api[0], ours, theirs, strict=True):
            if column in ("id", "unlike_training") or not b:
                assert a == b
            else:
                assert float(a) == pytest.approx(float(b), abs=CLOSE, rel=CLOSE)


def test_the_map_is_that_of_mutate_saturate(models, predictor):
    answer = models.saturate(one())
    expected = saturate(predictor, [TDH3])
    effect = {medium: np.array(answer["effect"][medium]) for medium in predictor.media}
    assert effect["complex"].shape == (4, 80)
    for medium in predictor.media:
        reference = answer["reference"][medium]
        column = expected.effects.reference[0, expected.media.index(medium)]
        assert reference == pytest.approx(column, abs=CLOSE)
        for name, delta in zip(expected.variants, expected.of(medium), strict=True):
            position, base = int(name[:-3]) - 1, "ACGT".index(name[-1])
            assert effect[medium][base, position] == pytest.approx(delta, abs=CLOSE)
    observed = ["ACGT".index(base) for base in TDH3]
    assert (effect["complex"][observed, np.arange(80)] == 0).all()


def test_the_table_of_a_construct_names_variants_as_mutate_saturate(models, predictor):
    construct = ADAPTER_5 + TDH3 + ADAPTER_3
    table = csv.DictReader(io.StringIO(map_table(models.saturate(one(construct)))), delimiter="\t")
    names = [row["variant"] for row in table]
    assert names[0] == "18G>A"
    assert sorted(names) == sorted(saturate(predictor, [construct]).variants)


@pytest.mark.parametrize("method", ["ism", "gradient", "masked", "integrated"])
def test_attributions_are_those_of_explain(models, predictor, method):
    answer = models.attribute(one(method=method, media=["defined"]))
    expected = attribute(predictor, [TDH3], medium="defined", method=method)
    table = expected.values if expected.hypothetical is None else expected.hypothetical
    cut = table[0][:, 17:97]
    assert list(answer["values"]) == ["defined"]
    np.testing.assert_allclose(answer["values"]["defined"], cut, atol=CLOSE)


def test_sites_are_those_of_motifs_scan(models):
    answer = models.scan(one(HIS3, threshold=1e-4, contributions=True))
    motifs = yeast_motifs()
    hits = find_sites(encode([HIS3])[0], motifs, ScanOptions(1e-4))
    expected = {
        (motifs[m].id, start + 1, end, strand, round(score, 6))
        for m, start, end, strand, score in zip(
            hits.motif, hits.start.tolist(), hits.end.tolist(), hits.strand, hits.score, strict=True
        )
    }
    found = {
        (site["matrix_id"], site["start"], site["end"], site["strand"], round(site["score"], 6))
        for site in answer["sites"]
    }
    assert found == expected and expected
    values = np.array(models.attribute(one(HIS3, method="ism"))["values"]["complex"])
    observed = values[["ACGT".index(base) for base in HIS3], np.arange(80)]
    for site in answer["sites"]:
        total = observed[site["start"] - 1 : site["end"]].sum()
        assert site["contribution"]["complex"] == pytest.approx(total, abs=1e-4)


def test_variants_are_those_of_mutate(models, predictor):
    changes = ["35T>G", "12_14del", "20insACG", "1G>C+80G>A"]
    answer = models.mutate(one(changes=changes))
    expected = mutate(predictor, [TDH3], changes)
    assert [v["variant"] for v in answer["variants"]] == expected.variants
    for row, variant in enumerate(answer["variants"]):
        for m, medium in enumerate(predictor.media):
            value = variant["expression"][medium]["value"]
            assert value == pytest.approx(expected.effects.variant[row, m], abs=CLOSE)
            delta = variant["delta"][medium]["value"]
            assert delta == pytest.approx(expected.effects.delta[row, m], abs=CLOSE)
        assert variant["sites_gained"] == [s for s in expected.effects.gained[row].split(";") if s]
        assert variant["flags"] == [s for s in expected.effects.flags[row].split(";") if s]


def test_a_variant_has_its_sequence(models):
    answer = models.mutate(one("ACGT" * 20, changes=["1A>G", "3_4del", "4insTT", "1A>T+80T>A"]))
    texts = [variant["sequence"] for variant in answer["variants"]]
    given = "ACGT" * 20
    assert texts == [
        "G" + given[1:], "AC" + given[4:], "ACGTTT" + given[4:], "T" + given[1:-1] + "A",
    ]  # fmt: skip


def test_a_variant_has_its_interval(models, predictor):
    answer = models.mutate(one(changes=["35T>G"]))
    changed = TDH3[:34] + "G" + TDH3[35:]
    trust = predictor.assess([changed]).trust
    found = answer["variants"][0]["expression"]["complex"]
    assert found["low"] == pytest.approx(trust.low[0, 0], abs=CLOSE)
    assert found["high"] == pytest.approx(trust.high[0, 0], abs=CLOSE)


@pytest.mark.parametrize("name", ["yeast", "yeast-fast"])
def test_the_first_example_is_strong_and_like_the_training_data(name):
    trust = Predictor.load(name).assess([EXAMPLES[0]["sequence"]]).trust
    assert trust.unlike[0] == "" and (trust.percentile[0] > 70).all()


def test_an_n_has_no_mutants(models):
    text = "N" + TDH3[1:40] + "N" + TDH3[41:]
    for effect in models.saturate(one(text))["effect"].values():
        assert [[row[0], row[40]] for row in effect] == [[None, None]] * 4
        assert np.isfinite(np.delete(np.array(effect), [0, 40], axis=1).astype(float)).all()
        assert sum(row[1] != 0 for row in effect) == 3


def test_effects_of_a_promoter_are_computed_once(models):
    turns = []
    oracle = models.oracles["yeast-fast"]
    oracle.pump = lambda: turns.append(1)
    try:
        models.saturate(one(HIS3[::-1]))
        first = len(turns)
        models.saturate(one(HIS3[::-1]))
        models.scan(one(HIS3[::-1], threshold=1e-4, contributions=True))
        models.attribute(one(HIS3[::-1], method="ism"))
    finally:
        oracle.pump = lambda: None
    assert first == len(turns) == 5  # the reference, and 240 variants in batches of 64


@pytest.mark.parametrize(
    ("body", "field", "text"),
    [
        (one("ACGU"), "sequence", "U"),
        (one("A" * 113), "sequence", "113 bases"),
        (one(model="other"), "model", "it has yeast-fast"),
        (one(media=["lemonade"]), "media", "it has complex, defined, dream"),
    ],
)
def test_a_bad_request_names_its_field(models, body, field, text):
    with pytest.raises(BadRequest, match=text) as error:
        models.saturate(body)
    assert error.value.field == field


def test_the_first_bad_promoter_is_named(models):
    with pytest.raises(BadRequest, match="position 3") as error:
        predict(models, TDH3, "AC-T", "AC.T")
    assert error.value.field == "promoters[1].sequence"


@pytest.mark.parametrize(
    ("change", "field"), [("nonsense", "changes[1]"), ("500A>C", "changes"), ("1C>A", "changes")]
)
def test_a_bad_variant_is_named(models, change, field):
    with pytest.raises(BadRequest) as error:
        models.mutate(one(changes=["35T>G", change]))
    assert error.value.field == field


def test_what_a_page_shows_of_a_model_is_small_and_plain(models):
    import json

    about = models.about()
    assert about["default"] == "yeast-fast"
    (model,) = about["models"]
    assert [medium["name"] for medium in model["media"]] == ["complex", "defined", "dream"]
    assert (model["media"][0]["low"], model["media"][0]["high"]) == (0, 17)
    assert model["parameters"] == 84_307
    assert len(json.dumps(about, allow_nan=False)) < 30_000
    assert "test results" in models.cards()["yeast-fast"]["text"]
