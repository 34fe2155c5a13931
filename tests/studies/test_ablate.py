"""A tiny ablation: what it trains, evaluates and writes, and that it resumes."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from crmnet.data.ingest import IngestOptions, ingest
from crmnet.evaluation.compare import holm
from crmnet.evaluation.score_sets import score_model
from crmnet.prediction.predictor import Predictor
from crmnet.runs.folder import WEIGHTS, load_record, load_run
from crmnet.sequence import decode
from crmnet.statistics.metrics import score
from crmnet.studies.ablate import FULL, VARIANTS, AblationOptions, ablate, run_folder
from crmnet.studies.ablate_report import ablation_markdown
from support import TINY

pytestmark = pytest.mark.slow

SETS = (*TINY, "epochs=1")
TRAINED = [name for name in VARIANTS if name != "additive position code"]
"""Those that recipe `demo` does not have anyway."""


@pytest.fixture(scope="module")
def one_medium(assay, tmp_path_factory):
    """The rows of the simulated assay in complex medium."""
    folder = tmp_path_factory.mktemp("ablate")
    rows = np.nonzero(np.asarray(assay.medium) == assay.media.index("complex"))[0]
    lines = zip(decode(assay.tokens[rows]), assay.labels[rows], assay.family[rows], strict=True)
    (folder / "rows.tsv").write_text(
        "sequence\texpression\tfamily\n" + "".join(f"{s}\t{y}\t{f}\n" for s, y, f in lines)
    )
    return ingest([folder / "rows.tsv"], folder / "complex", IngestOptions(media=("complex",)))


@pytest.fixture(scope="module")
def study(assay, one_medium, tmp_path_factory):
    """An ablation of all variants with two seeds."""
    folder = tmp_path_factory.mktemp("study")
    options = AblationOptions("demo", SETS, seeds=(0, 1), pretraining=("learning_rate=0.0025",))
    results = ablate(options, one_medium, [one_medium], folder, pretraining=assay, resamples=50)
    return folder, options, results


def test_every_variant_is_trained_and_scored(study, one_medium):
    folder, _, (result,) = study
    assert [v.variant for v in result.variants] == TRAINED
    assert (result.name, result.n) == ("complex", len(one_medium))
    for v in result.variants:
        assert len(v.by_seed) == 2
        assert v.pearson.value == pytest.approx(np.mean(v.by_seed))
        assert (v.against_full is None) == (v.variant == FULL)
    run = run_folder(folder, "no decoder", 1)
    (scored,) = score_model(Predictor.load(run), one_medium)
    found = next(v for v in result.variants if v.variant == "no decoder")
    assert found.by_seed[1] == score(scored.measured, scored.predicted)["pearson"]


def test_variants_differ_only_in_their_change(study):
    folder, _, _ = study
    full = load_record(run_folder(folder, FULL, 0)).settings
    for variant, key, value in (
        ("no squeeze-excitation", "squeeze_excitation", False),
        ("no transformer", "transformer_blocks", 0),
        ("no decoder", "decoder", []),
        ("published position code", "position", "published"),
    ):
        settings = load_record(run_folder(folder, variant, 0)).settings
        assert settings.train == full.train
        assert settings.model.settings == {**full.model.settings, key: value}


def test_the_pre_trained_variant_starts_from_both_media(study):
    folder, _, _ = study
    first = load_record(folder / "pre-trained" / "seed-0-first")
    assert first.media == ["complex+defined"]
    second, full = (load_record(run_folder(folder, name, 0)) for name in ("pre-trained", FULL))
    assert second.data["start"]["run"] == "seed-0-first"
    assert first.settings.train.learning_rate == 0.0025
    assert second.settings.train.learning_rate == full.settings.train.learning_rate != 0.0025


def test_a_second_call_trains_only_what_is_missing(study, one_medium, assay):
    folder, options, (before,) = study
    lost = run_folder(folder, "no transformer", 1)
    times = {p: p.stat().st_mtime_ns for p in folder.rglob(WEIGHTS) if lost not in p.parents}
    shutil.rmtree(lost)
    (after,) = ablate(options, one_medium, [one_medium], folder, pretraining=assay, resamples=50)
    assert {p: p.stat().st_mtime_ns for p in times} == times
    assert repr(after) == repr(before)  # the same seed, the same run; NaN is not equal to itself
    load_run(lost)


def test_the_command_writes_table_and_figure(one_medium, tmp_path, crmnet):
    sets = [part for text in SETS for part in ("--set", text)]
    words = ["--data", one_medium.path, "--test", one_medium.path, "--seeds", 1]
    status, out, _ = crmnet("ablate", "demo", *words, "--variant", "no transformer",
                            "--variant", "narrow: model.dense=[3]",
                            "--variant", "the same: model.squeeze_excitation=true",
                            "--resamples", 20, "-o", tmp_path, *sets)  # fmt: skip
    assert status == 0
    narrow = load_record(run_folder(tmp_path, "narrow", 0)).settings
    assert narrow.model.settings["dense"] == [3]
    assert not run_folder(tmp_path, "the same", 0).exists()
    assert [line.split(" | ")[0] for line in out.splitlines() if line.startswith("| ")] == [
        "| variant", "| ---", "| full", "| no transformer", "| narrow",
    ]  # fmt: skip
    found = json.loads((tmp_path / "ablation.json").read_text())["sets"][0]
    assert found["variants"][0]["against_full"] is None
    assert (tmp_path / "ablation.png").is_file()


def test_the_table_names_seeds_and_differences(study):
    text = ablation_markdown(study[2])
    assert "2 seeds" in text
    assert len([line for line in text.splitlines() if line.startswith("|")]) == 2 + len(TRAINED)


def test_p_values_are_corrected_over_the_variants(study):
    """Several variants were compared with the full network by uncorrected p."""
    (result,) = study[2]
    others = [v for v in result.variants if v.variant != FULL]
    corrected = holm([v.against_full.p for v in others])
    assert [v.p_corrected for v in others] == corrected
    assert corrected != [v.against_full.p for v in others]
    lines = ablation_markdown(study[2]).splitlines()
    for v in others:
        (line,) = [line for line in lines if line.startswith(f"| {v.variant} |")]
        assert line.endswith(f"| {v.p_corrected:.2g} |")
    assert "Holm's correction over all variants" in lines[-1]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"variants": ("full", "no head")}, "variant must be one of"),
        ({"variants": ("no decoder",)}, "must include 'full'"),
        ({"own": {"no decoder": ()}}, "already called 'no decoder'"),
        ({"own": {"no-decoder": ()}}, "'no-decoder' and 'no decoder' would share a folder"),
        ({"own": {"a b": (), "a-b": ()}}, "'a-b' and 'a b' would share a folder"),
        ({"own": {"../x": ()}}, "name of a variant"),
        ({"seeds": (1, 1)}, "seeds must be different"),
        ({"seeds": ()}, "at least one"),
    ],
)
def test_bad_options_are_named(changes, message):
    with pytest.raises(ValueError, match=message):
        AblationOptions("demo", **changes)


def test_intervals_resample_families_by_homology_on_request(study, one_medium, tmp_path):
    """Six promoters and their copies with another last base are six families, not twelve."""
    folder, options, _ = study
    texts = decode(one_medium.tokens[:6])
    lines = [f"{text[:96]}{base}{text[97:]}\t{n + (base == 'C')}"
             for n, text in enumerate(texts) for base in "AC"]  # fmt: skip
    (tmp_path / "t.tsv").write_text("\n".join(["sequence\texpression", *lines]) + "\n")
    related = ingest([tmp_path / "t.tsv"], tmp_path / "t", IngestOptions(media=("complex",)))
    only_full = replace(options, variants=(FULL,))
    found = [
        ablate(only_full, one_medium, [related], folder, by=by, resamples=20)[0].families
        for by in ("family", "homology")
    ]
    assert found == [12, 6]
