"""The demonstration continues its own folder and refuses others."""

import pytest

from crmnet.studies.demo import demo

pytestmark = pytest.mark.slow


def begun(folder):
    """A folder as a kill in the first step leaves it."""
    (folder / "data" / ".train.partial" / "raw").mkdir(parents=True)
    (folder / "data" / ".train.lock").touch()


def test_a_demonstration_killed_in_its_first_step_is_continued(tmp_path, monkeypatch):
    begun(tmp_path / "demo")

    class Reached(Exception):
        pass

    def simulate(*_, **__):
        raise Reached

    monkeypatch.setattr("crmnet.studies.demo.simulate", simulate)
    with pytest.raises(Reached):
        demo(tmp_path / "demo", promoters=200)
    for name in ("mine.txt", "data/mine.txt"):
        other = tmp_path / name.replace("/", "-")
        begun(other)
        (other / name).write_text("mine")
        with pytest.raises(FileExistsError, match="is not empty"):
            demo(other, promoters=10)


@pytest.mark.parametrize(
    ("promoters", "sets", "least"), [(199, (), 200), (11, ("validation_fraction=0.5",), 12)]
)
def test_too_few_promoters_are_refused_before_the_simulation(
    crmnet, tmp_path, promoters, sets, least
):
    """The error came from training, after the simulation, and named no option of demo."""
    words = [word for text in sets for word in ("--set", text)]
    status, _, error = crmnet("demo", "-o", tmp_path / "d", "--promoters", promoters, *words)
    assert status == 2 and not (tmp_path / "d").exists()
    assert f"--promoters must be at least {least}," in error
    assert f"got {promoters}" in error and "simulate a reporter" not in error
