import json

import pytest

from crmnet.runs.record import RunRecord, Scale, versions
from crmnet.runs.settings import TrainSettings, resolve, shipped_recipes


@pytest.mark.parametrize("name", ["demo", "small", "paper-complex"])
def test_required_recipes_are_shipped(name):
    assert name in shipped_recipes()


@pytest.mark.parametrize("name", shipped_recipes())
def test_every_shipped_recipe_resolves_and_has_a_description(name):
    settings = resolve(name)
    assert settings.recipe == name
    assert len(shipped_recipes()[name]) > 20


def test_the_recipe_of_the_paper_has_its_settings():
    settings = resolve("paper-complex")
    train = settings.train
    assert settings.model.name == "crmnet"
    assert settings.model.settings["position"] == "published"
    assert (train.loss, train.huber_delta, train.batch_size, train.patience) == (
        "huber",
        1,
        1024,
        10,
    )
    assert (train.start_learning_rate, train.learning_rate, train.final_learning_rate) == (
        0.0001, 0.001, 0.0001,
    )  # fmt: skip
    assert train.warmup_epochs == 10
    assert not train.standardize


def test_set_overrides_recipe_overrides_defaults(tmp_path):
    recipe = tmp_path / "mine.toml"
    recipe.write_text('[model]\nname = "crmnet-small"\n[train]\nepochs = 7\nbatch_size = 32\n')
    settings = resolve(str(recipe), ["epochs=3", "model.heads=2", "decoder=[]", "loss=mse"])
    assert (settings.train.epochs, settings.train.batch_size) == (3, 32)
    assert settings.train.patience == TrainSettings().patience
    assert settings.model.settings["heads"] == 2
    assert settings.model.settings["decoder"] == []
    assert settings.train.loss == "mse"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("epochs", "key=value"),
        ("train.epoch=3", r"no setting train.epoch \(did you mean 'epochs'\?\); known: epochs"),
        ("epoch=3", r"no setting 'epoch'; did you mean 'epochs'\?"),
        ("epochs=0", r"train.epochs = 0"),
        ("epochs=many", r"train.epochs = 'many'"),
        ("data.x=1", "section must be train or model"),
        ("model.headz=2", "did you mean 'heads'"),
        ("model.name=crmnt", "did you mean 'crmnet'"),
    ],
)
def test_bad_overrides_are_named(override, message):
    with pytest.raises(ValueError, match=message):
        resolve("small", [override])


def test_unknown_recipe_lists_the_shipped():
    with pytest.raises(FileNotFoundError, match="paper-complex"):
        resolve("big")


def test_a_mistyped_recipe_gets_a_suggestion():
    with pytest.raises(FileNotFoundError, match=r"no such recipe; did you mean 'small'\? shipped"):
        resolve("smal")


def test_unknown_section_and_broken_toml_are_errors(tmp_path):
    (tmp_path / "a.toml").write_text("[optimizer]\nlr = 1\n")
    with pytest.raises(ValueError, match="unknown section 'optimizer'"):
        resolve(str(tmp_path / "a.toml"))
    (tmp_path / "b.toml").write_text("epochs = ")
    with pytest.raises(ValueError, match="not valid TOML"):
        resolve(str(tmp_path / "b.toml"))


def test_a_record_is_the_same_after_json():
    record = RunRecord(
        settings=resolve("small"),
        media=["complex", "dream"],
        scale={"complex": Scale(mean=8.0, sd=4.0), "dream": Scale()},
        data={"name": "x"},
        versions=versions(),
    )
    assert RunRecord.model_validate(json.loads(record.model_dump_json())) == record
