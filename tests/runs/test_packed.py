import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from crmnet.evaluation.score_sets import score_file
from crmnet.models.layers import BothStrands
from crmnet.prediction.predictor import Predictor
from crmnet.runs import packed as packed_files
from crmnet.runs.folder import (
    RECORD,
    build_network,
    load_record,
    load_run,
    load_tensors,
    save_record,
    save_weights,
)
from crmnet.runs.model_card import card_lines
from crmnet.runs.packed import PackOptions, bundled, load_card, load_model, load_packed, pack
from crmnet.runs.settings import resolve
from crmnet.sequence import decode, one_hot, reverse_complement
from crmnet.statistics.metrics import score
from crmnet.training.train import train
from support import SHARED, needs_shared

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def other_run(small_run, tmp_path_factory):
    """A second member: the same run with slightly changed weights."""
    run = tmp_path_factory.mktemp("other") / "run"
    shutil.copytree(small_run, run)
    network, _ = load_run(run)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(1.02)
    save_weights(run, network)
    return run


def test_one_run_packed_predicts_as_the_run(small_run, assay, tmp_path):
    card = pack([small_run], tmp_path / "one.safetensors")
    assert (card.name, card.storage, card.storage_error) == ("one", "float32", {})
    run, packed = Predictor.load(small_run), Predictor.load(tmp_path / "one.safetensors")
    np.testing.assert_array_equal(
        run.predict_tokens(assay.tokens[:50]), packed.predict_tokens(assay.tokens[:50])
    )
    assert packed.media == run.media
    assert sorted(p.name for p in tmp_path.iterdir()) == ["one.json", "one.safetensors"]


def test_a_run_that_was_not_finished_is_named_and_not_packed(small_run, tmp_path, caplog):
    """Of such a run the scale of the outputs may not be fitted yet."""
    load_model(small_run)
    assert not caplog.records
    run = tmp_path / "killed"
    shutil.copytree(small_run, run)
    save_record(run, load_record(run).model_copy(update={"finished": False}))
    load_model(run)
    (warning,) = caplog.records
    assert warning.levelname == "WARNING"
    assert f"the training of {run} was not finished" in warning.getMessage()
    assert "--resume" in warning.getMessage()
    with pytest.raises(ValueError, match=r"killed was not finished.*--resume"):
        pack([small_run, run], tmp_path / "two.safetensors")
    assert not (tmp_path / "two.safetensors").exists()


def test_an_interrupted_run_is_packed_if_asked_and_the_card_says_so(small_run, tmp_path):
    run = tmp_path / "killed"
    shutil.copytree(small_run, run)
    save_record(run, load_record(run).model_copy(update={"finished": False}))
    options = PackOptions(unfinished=True)
    card = pack([small_run, run], tmp_path / "two.safetensors", options)
    assert [record.finished for record in card.members] == [True, False]
    lines = card_lines(card)
    first, second = (lines.index(line) for line in lines if line.startswith("  member "))
    told = "    its training was interrupted; these are its best weights until then"
    assert lines.count(told) == 1
    assert lines.index(told) > second > first
    assert Predictor.load(tmp_path / "two.safetensors").media == Predictor.load(small_run).media


def test_an_ensemble_predicts_the_mean_and_the_spread_of_its_members(
    small_run, other_run, assay, tmp_path
):
    pack([small_run, other_run], tmp_path / "two.safetensors")
    tokens = np.asarray(assay.tokens[:50])
    a, b = (Predictor.load(run).predict_tokens(tokens) for run in (small_run, other_run))
    together = Predictor.load(tmp_path / "two.safetensors")
    mean, spread = together.predict_with_spread(tokens)
    np.testing.assert_allclose(mean, (a + b) / 2, rtol=1e-5)
    np.testing.assert_allclose(spread, abs(a - b) / 2, atol=2e-5)
    np.testing.assert_array_equal(together.predict_tokens(tokens), mean)


def test_both_strands_averaged(small_run, assay, tmp_path):
    pack([small_run], tmp_path / "rc.safetensors", PackOptions(reverse_complement=True))
    tokens = np.asarray(assay.tokens[:50])
    run = Predictor.load(small_run)
    there, back = run.predict_tokens(tokens), run.predict_tokens(reverse_complement(tokens))
    found = Predictor.load(tmp_path / "rc.safetensors").predict_tokens(tokens)
    np.testing.assert_allclose(found, (there + back) / 2, rtol=1e-5)


@pytest.mark.parametrize("averaging", [False, True])
def test_both_strands_of_a_network_with_strand_marks_get_the_mark(assay, tmp_path, averaging):
    """The reverse complement was fed as a forward construct, for which the network has no mark."""
    run = tmp_path / "run"
    chosen = ["epochs=1", "batch_size=64", "validation_fraction=0.2", "device=cpu"]
    widths = ["widths=[8,8]", "filters=8"]
    train(resolve("dream-cnn", [*chosen, *widths, f"average_strands={averaging}"]), assay, run)
    pack([run], tmp_path / "rc.safetensors", PackOptions(reverse_complement=True))
    network = load_run(run)[0].eval()
    tokens = np.array(assay.tokens[:50])
    scale = [load_record(run).scale[medium] for medium in load_record(run).media]
    sd, mean = torch.tensor([s.sd for s in scale]), torch.tensor([s.mean for s in scale])
    with torch.inference_mode():
        expected = BothStrands(network)(one_hot(torch.from_numpy(tokens))) * sd + mean
        there = network(one_hot(torch.from_numpy(tokens))) * sd + mean
    mean, spread = Predictor.load(tmp_path / "rc.safetensors").predict_with_spread(tokens)
    np.testing.assert_allclose(mean, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(spread, abs(there - expected), atol=1e-4)
    assert spread.max() > 1e-3


def test_16_bits_halve_the_size_and_the_card_states_the_error(small_run, assay, tmp_path):
    whole = pack([small_run], tmp_path / "whole.safetensors")
    card = pack([small_run], tmp_path / "half.safetensors", PackOptions(half=True))
    assert card.storage == "float16"
    assert card.fingerprint != whole.fingerprint
    sizes = {
        name: sum(t.nbytes for t in load_tensors(tmp_path / f"{name}.safetensors").values())
        for name in ("whole", "half")
    }
    assert sizes["half"] < 0.6 * sizes["whole"]
    sequences = decode(assay.tokens[:50])
    a, b = (Predictor.load(tmp_path / f"{n}.safetensors").predict(sequences) for n in sizes)
    assert 0 < np.abs(a - b).max() < 3 * max(card.storage_error.values()) < 0.3


def test_the_card_next_to_the_file_equals_the_card_in_it(small_run, tmp_path):
    options = PackOptions(about="a test", not_for=("anything",))
    card = pack([small_run], tmp_path / "m.safetensors", options)
    again = load_card(tmp_path / "m.safetensors")
    assert again == card == type(card).model_validate_json((tmp_path / "m.json").read_text())
    assert again.not_for[-1] == "anything"
    assert again.members[0].data["training_rows"] > 0


def test_every_bundled_model_is_intact_small_and_described():
    for name, path in bundled().items():
        loaded = load_packed(path)
        assert loaded.card == type(loaded.card).model_validate_json(
            path.with_suffix(".json").read_text()
        )
        assert loaded.card.name == name
        assert loaded.card.calibration is not None
        assert loaded.card.tests
        assert path.stat().st_size <= (2e6 if "fast" in name else 12e6)


def test_bundled_models_are_found_by_name(small_run, tmp_path, monkeypatch):
    (tmp_path / "weights").mkdir()
    pack([small_run], tmp_path / "weights" / "tiny.safetensors")
    monkeypatch.setattr(packed_files.resources, "files", lambda _: tmp_path)
    assert list(bundled()) == ["tiny"]
    assert Predictor.load("tiny").card.name == "tiny"
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny").mkdir()  # no run, so it does not stand before the model
    assert Predictor.load("tiny").card.name == "tiny"
    (tmp_path / "tiny").rmdir()
    shutil.copytree(small_run, tmp_path / "tiny")
    assert Predictor.load("tiny").card is None
    with pytest.raises(FileNotFoundError, match=r"tniy: no such run folder.*did you mean 'tiny'"):
        load_model("tniy")


def test_a_packed_model_is_not_overwritten_nor_packed_again(small_run, other_run, tmp_path):
    path = tmp_path / "m.safetensors"
    pack([small_run], path)
    before = path.read_bytes()
    with pytest.raises(FileExistsError, match="exists; choose another name or pass --overwrite"):
        pack([other_run], path)
    assert path.read_bytes() == before
    pack([other_run], path, overwrite=True)
    assert path.read_bytes() != before
    with pytest.raises(ValueError, match="is already packed; give the run folders"):
        pack([path], tmp_path / "n.safetensors")
    with pytest.raises(ValueError, match="is given twice"):
        pack([small_run, small_run], tmp_path / "n.safetensors")


def test_a_run_that_averages_strands_shows_their_spread_in_an_ensemble_of_both(
    small_run, assay, tmp_path
):
    """The mean equals that of the run: each strand is predicted once, not twice."""
    averaging = tmp_path / "averaging"
    shutil.copytree(small_run, averaging)
    record = json.loads((averaging / RECORD).read_text())
    record["settings"]["train"]["average_strands"] = True
    (averaging / RECORD).write_text(json.dumps(record))
    card = pack([averaging], tmp_path / "rc.safetensors", PackOptions(reverse_complement=True))
    assert "both strands, averaged" in "\n".join(card_lines(card))
    tokens = np.asarray(assay.tokens[:50])
    run, packed = Predictor.load(averaging), Predictor.load(tmp_path / "rc.safetensors")
    mean, spread = packed.predict_with_spread(tokens)
    np.testing.assert_allclose(mean, run.predict_tokens(tokens), rtol=1e-5)
    there, back = (
        Predictor.load(small_run).predict_tokens(t) for t in (tokens, reverse_complement(tokens))
    )
    np.testing.assert_allclose(spread, abs(there - back) / 2, atol=2e-5)
    alone = pack([averaging], tmp_path / "alone.safetensors")
    assert "both strands, averaged" in "\n".join(card_lines(alone))


def test_a_file_above_the_size_limit_is_not_written(small_run, tmp_path):
    with pytest.raises(ValueError, match=r"would take 0\.\d+ MB, more than 0.001; store 16 bits"):
        pack([small_run], tmp_path / "big.safetensors", PackOptions(max_megabytes=0.001))
    assert not list(tmp_path.iterdir())


def with_record(run, destination, change):
    """A copy of a run whose record is changed."""
    shutil.copytree(run, destination)
    record = json.loads((destination / RECORD).read_text())
    change(record)
    (destination / RECORD).write_text(json.dumps(record))
    return destination


def test_members_predict_their_own_media_in_any_order(small_run, other_run, tmp_path):
    """The card's media choose columns by name; a member counts only in the media that it has."""
    tokens = np.random.default_rng(0).integers(4, size=(20, 112), dtype=np.uint8)
    a, b = (Predictor.load(run).predict_tokens(tokens) for run in (small_run, other_run))

    def renamed(record):
        assert record["media"] == ["defined", "complex"]
        record["media"] = ["third", "complex"]
        record["scale"]["third"] = record["scale"]["defined"]

    third = with_record(other_run, tmp_path / "third", renamed)
    card = pack([small_run, third], tmp_path / "three.safetensors")
    assert card.media == ["defined", "complex", "third"]
    mean, spread = Predictor.load(tmp_path / "three.safetensors").predict_with_spread(tokens)
    np.testing.assert_allclose(mean, np.stack([a[:, 0], (a + b)[:, 1] / 2, b[:, 0]], 1), rtol=1e-5)
    np.testing.assert_allclose(spread[:, 1], abs(a - b)[:, 1] / 2, atol=2e-5)
    assert (spread[:, [0, 2]] == 0).all()

    options = PackOptions(media=("third", "complex"))
    pack([small_run, third], tmp_path / "two.safetensors", options)
    two = Predictor.load(tmp_path / "two.safetensors")
    assert two.media == ["third", "complex"]
    np.testing.assert_array_equal(two.predict_tokens(tokens), mean[:, [2, 1]])
    assert "predicts complex" in "\n".join(card_lines(two.card))


def test_a_run_can_take_part_in_some_of_its_media(small_run, other_run, tmp_path, crmnet):
    tokens = np.random.default_rng(0).integers(4, size=(20, 112), dtype=np.uint8)
    a, b = (Predictor.load(run).predict_tokens(tokens) for run in (small_run, other_run))
    path, all_media = tmp_path / "some.safetensors", tmp_path / "all.safetensors"
    status, out, _ = crmnet("models", "pack", small_run, other_run, "-o", path,
                            "--only", f"{other_run}=complex")  # fmt: skip
    assert status == 0, out
    found, spread = Predictor.load(path).predict_with_spread(tokens)
    np.testing.assert_allclose(found, np.stack([a[:, 0], (a + b)[:, 1] / 2], 1), rtol=1e-5)
    assert (spread[:, 0] == 0).all() and (spread[:, 1] > 0).any()
    card = load_card(path)
    assert [card.media_of(0), card.media_of(1)] == [["defined", "complex"], ["complex"]]
    assert card_lines(card).count("    predicts complex") == 1
    assert card.fingerprint != pack([small_run, other_run], all_media).fingerprint


@pytest.mark.parametrize(
    ("only", "message"),
    [
        ("RUN=complx", "does not predict 'complx'; its outputs are defined, complex"),
        ("elsewhere=complex", "elsewhere is none of the runs to pack"),
        ("RUN=complex", "no member predicts 'defined'"),
        ("complex", "--only takes RUN=MEDIUM"),
        ("RUN=complex --medium defined", "predicts complex, none of defined"),
    ],
)
def test_wrong_media_of_a_run_are_named(small_run, tmp_path, crmnet, only, message):
    words = [word.replace("RUN", str(small_run)) for word in only.split()]
    status, _, error = crmnet("models", "pack", small_run, "-o", tmp_path / "x.safetensors",
                              "--only", *words)  # fmt: skip
    assert status == 2
    assert message in error and len(error.strip().splitlines()) == 1
    assert not (tmp_path / "x.safetensors").exists()


def test_media_that_no_run_has_are_refused(small_run, tmp_path):
    def pack_with(*media):
        pack([small_run], tmp_path / "x.safetensors", PackOptions(media=media))

    with pytest.raises(ValueError, match="no run predicts 'defind'; did you mean 'defined'"):
        pack_with("complex", "defind")

    def renamed(record):
        record["media"] = ["x", "y"]
        record["scale"] |= dict.fromkeys(["x", "y"], record["scale"]["complex"])

    other = with_record(small_run, tmp_path / "other", renamed)
    with pytest.raises(ValueError, match="other predicts x, y, none of complex"):
        pack([small_run, other], tmp_path / "x.safetensors", PackOptions(media=("complex",)))
    with pytest.raises(ValueError, match=r"named \*\.safetensors"):
        pack([small_run], tmp_path / "x.bin")
    assert not (tmp_path / "x.safetensors").exists()


def test_a_run_of_one_strand_beside_one_of_both_predicts_one(small_run, other_run, tmp_path):
    def both(record):
        record["settings"]["train"]["reverse_complement"] = 0.5

    trained = with_record(other_run, tmp_path / "trained", both)
    options = PackOptions(reverse_complement=True)
    card = pack([small_run, trained], tmp_path / "mixed.safetensors", options)
    assert card.forward_only == (0,)
    tokens = np.random.default_rng(0).integers(4, size=(20, 112), dtype=np.uint8)
    a, b = Predictor.load(small_run), Predictor.load(other_run)
    views = [
        a.predict_tokens(tokens), b.predict_tokens(tokens),
        b.predict_tokens(reverse_complement(tokens)),
    ]  # fmt: skip
    mean, spread = Predictor.load(tmp_path / "mixed.safetensors").predict_with_spread(tokens)
    np.testing.assert_allclose(mean, np.mean(views, axis=0), rtol=1e-5)
    np.testing.assert_allclose(spread, np.std(views, axis=0), atol=2e-5)
    assert "the given strand alone" in "\n".join(card_lines(card))


def test_members_may_read_different_numbers_of_positions(small_run, tmp_path):
    def lengthened(record):
        record["settings"]["model"]["settings"]["length"] = 128

    longer = with_record(small_run, tmp_path / "longer", lengthened)
    save_weights(longer, build_network(load_record(longer)))
    pack([small_run, longer], tmp_path / "both.safetensors")
    together = Predictor.load(tmp_path / "both.safetensors")
    assert together.length == 112
    texts = ["ACGT" * 20, "TTACG" * 15]
    expected = (
        Predictor.load(small_run).predict(texts) + Predictor.load(longer).predict(texts)
    ) / 2
    np.testing.assert_allclose(together.predict(texts), expected, rtol=1e-5)
    with pytest.raises(ValueError, match="112"):
        together.predict(["ACGT" * 24])


def test_members_must_predict_in_one_unit(small_run, tmp_path):
    assert Predictor.load(small_run).units == dict.fromkeys(["complex", "defined"], "sorting bin")
    other = tmp_path / "other"
    shutil.copytree(small_run, other)
    record = json.loads((other / RECORD).read_text())
    record["data"]["units"]["complex"] = "MAUDE score"
    (other / RECORD).write_text(json.dumps(record))
    with pytest.raises(ValueError, match=r"other predicts complex in MAUDE score, .* bin"):
        pack([small_run, other], tmp_path / "two.safetensors")


def test_damaged_files_are_named(small_run, tmp_path):
    path = tmp_path / "m.safetensors"
    card = pack([small_run], path)
    tensors = load_tensors(path)
    name = next(name for name, t in tensors.items() if t.is_floating_point())
    packed_files.save_packed(path, {**tensors, name: tensors[name] + 1}, card)
    with pytest.raises(ValueError, match="its weights do not belong to its card"):
        load_packed(path)
    save_file(tensors, path)
    with pytest.raises(ValueError, match="has no card"):
        load_packed(path)
    save_file(tensors, path, metadata={packed_files.CARD: '{"format": 9}'})
    with pytest.raises(ValueError, match="format 9"):
        load_packed(path)
    save_file(tensors, path, metadata={packed_files.CARD: '{"format": 1}'})
    with pytest.raises(ValueError, match="card is damaged"):
        load_packed(path)
    path.write_bytes(b"not weights")
    with pytest.raises(ValueError, match="damaged or not a safetensors"):
        load_packed(path)


def test_a_run_folder_has_no_spread(small_run, assay):
    with pytest.raises(ValueError, match="only packed models"):
        Predictor.load(small_run).predict_with_spread(np.asarray(assay.tokens[:3]))


def test_the_docs_show_the_cards_of_bundled_models():
    docs = (Path(__file__).parents[2] / "docs" / "models.md").read_text()
    for name, path in bundled().items():
        shown = "\n".join(card_lines(load_card(path)))
        assert f"```text\n{shown}\n```" in docs, f"{name}: put `crmnet models show {name}` there"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("yeast", [[15.677, 15.325, 1.389], [14.521, 14.183, 1.243]]),
        ("yeast-fast", [[15.561, 14.872, 1.260], [14.785, 13.881, 1.100]]),
    ],
)
def test_bundled_models_predict_as_when_they_were_packed(name, expected):
    predictor = Predictor.load(name)
    assert predictor.media == ["complex", "defined", "dream"]
    found = predictor.predict(["TTACCCGGGTCAAGTACGT" * 4 + "ACGT", "A" * 40 + "C" * 40])
    np.testing.assert_allclose(found, expected, atol=2e-3)


@needs_shared
def test_the_metrics_in_the_card_are_those_of_the_test_set():
    """For the fast model, whose 2,954 predictions take one to two seconds."""
    data = SHARED / "data" / "evolution" / "Random_complex.csv"
    (scored,) = score_file(Predictor.load("yeast-fast"), data)
    card = load_card(bundled()["yeast-fast"])
    found = score(scored.measured, scored.predicted)
    for metric in ("pearson", "spearman", "mae"):
        assert found[metric] == pytest.approx(card.tests["random"][metric]["value"], abs=1e-4)
