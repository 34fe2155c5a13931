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
        demo(tmp_path / "demo", promoters=10)
    for name in ("mine.txt", "data/mine.txt"):
        other = tmp_path / name.replace("/", "-")
        begun(other)
        (other / name).write_text("mine")
        with pytest.raises(FileExistsError, match="is not empty"):
            demo(other, promoters=10)
