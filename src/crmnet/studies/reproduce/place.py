"""Where a study lies: its folder, profile and source of data, and the names of its parts.

Steps receive a :class:`Place`. Folders in it:

    data/NAME              data sets: train, train-MEDIUM, and one for each test set
    runs/NAME              trained networks
    results/STEP/          files of a step
    results/STEP.json      its stamp
    reproduce.json         profile and settings
    report.html            the report
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from crmnet.choices import FamilyRule
from crmnet.data.dataset import Dataset, is_dataset
from crmnet.files import PathLike, make_folder
from crmnet.prediction.predictor import Predictor
from crmnet.studies.reproduce.paper import TEST_SETS
from crmnet.studies.reproduce.profiles import OWN, Profile
from crmnet.studies.reproduce.results import NotRun

FAMILIES: FamilyRule = "homology"
"""Intervals resample families of inserts that share 20 bases: tiles and mutants are not
independent."""


@dataclass(frozen=True)
class Place:
    """Folder, profile and source of a study."""

    folder: Path
    profile: Profile
    source: Path | None = None
    """Folder to read public files from; None fetches them."""
    device: str = "auto"

    def data(self, name: str) -> Path:
        """Folder of a data set."""
        return self.folder / "data" / name

    def run(self, name: str) -> Path:
        """Folder of a trained network."""
        return self.folder / "runs" / name

    def results(self, step: str) -> Path:
        """Folder for the files of a step, made if it does not exist."""
        folder = self.folder / "results" / step
        make_folder(folder)
        return folder

    def relative(self, path: PathLike) -> str:
        """Path as the report and the stamps name it."""
        return Path(path).relative_to(self.folder).as_posix()

    def dataset(self, name: str) -> Dataset:
        """An opened data set.

        Raises:
            NotRun: If the step ``data`` did not get it.
        """
        if not is_dataset(self.data(name)):
            raise NotRun(
                f"It needs the data set {name}, which is not here; see the section on data."
            )
        return Dataset.open(self.data(name))

    def tests(self, medium: str | None = None) -> list[Dataset]:
        """The test sets that are here, of one medium or of both.

        Raises:
            NotRun: If there is none.
        """
        names = [name for name in TEST_SETS if medium in (None, name.rpartition("-")[2])]
        found = [Dataset.open(self.data(name)) for name in names if is_dataset(self.data(name))]
        if not found:
            raise NotRun(f"It needs one of the test sets {', '.join(names)}, and none is here.")
        return found

    def predictor(self, model: str) -> Predictor:
        """A trained network of the study, or a bundled model."""
        own = self.run(model)
        return Predictor.load(own if own.is_dir() else model, device=self.device)

    def model_path(self, model: str) -> str:
        """A model as a command names it."""
        own = self.run(model)
        return self.relative(own) if model == OWN or own.is_dir() else model
