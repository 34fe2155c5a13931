"""The authors' published weights on the four test sets."""

from __future__ import annotations

import tarfile
import zipfile
from pathlib import Path

from crmnet.data.dataset import is_dataset
from crmnet.data.fetch import Offline, fetch
from crmnet.data.registry import cards
from crmnet.evaluation.score_sets import score_model
from crmnet.files import PathLike, make_folder
from crmnet.prediction.predictor import Predictor
from crmnet.reports.wording import METRIC_TITLES
from crmnet.runs.published import import_published
from crmnet.statistics.metrics import summarise
from crmnet.studies.reproduce.paper import CRMNET, MEDIA, TEST_SETS, paper_value
from crmnet.studies.reproduce.place import FAMILIES, Place
from crmnet.studies.reproduce.profiles import WEIGHTS
from crmnet.studies.reproduce.results import NotRun, Number, StepResult

SAVED_MODEL = "saved_model.pb"


def score_published(place: Place) -> StepResult:
    """Import the published weights and score them on each test set that is here.

    Raises:
        NotRun: If the test sets are simulated, or the weights cannot be had.
    """
    if place.profile.simulated:
        raise NotRun(
            "The test sets of this profile are simulated. The published weights predict real "
            "promoters; the profiles public and full score them."
        )
    models = {medium: _imported(place, medium) for medium in MEDIA}
    numbers, missing = [], {}
    for name in TEST_SETS:
        model = models[name.rpartition("-")[2]]
        if not is_dataset(place.data(name)):
            missing[name] = "the test set is not here; see the section on data"
            continue
        (scored,) = score_model(
            Predictor.load(model, device=place.device), place.dataset(name), by=FAMILIES
        )
        result = summarise([scored])["sets"][name]
        paper = paper_value("pearson", CRMNET, name)
        numbers.append(
            Number.of(f"{METRIC_TITLES['pearson']}, {name}", result["pearson"], n=result["n"],
                      paper=paper.value if paper else None, paper_n=paper.n if paper else None)
        )  # fmt: skip
    return StepResult(numbers=numbers, missing=missing)


def _imported(place: Place, medium: str) -> Path:
    """Run folder of the weights for a medium; those of another medium if there is only one."""
    run = place.run(f"published-{medium}")
    if not run.is_dir():
        candidates = saved_models(_record_folder(place))
        if not candidates:
            raise NotRun(f"The record {WEIGHTS} holds no SavedModel.")
        words = {"complex": ("complex", "glu"), "defined": ("defined", "ura")}[medium]
        named = [path for path in candidates if any(w in str(path).lower() for w in words)]
        make_folder(run.parent)
        try:
            import_published((named or candidates)[0], run, medium)
        except ModuleNotFoundError as error:
            raise NotRun(f"{error}") from None
    return run


def _record_folder(place: Place) -> Path:
    """Folder with the files of the record, archives unpacked.

    Raises:
        NotRun: If the record is not in the folder of ``--from``, or cannot be fetched.
    """
    if place.source is not None:
        if saved_models(place.source):
            return place.source
        raise NotRun(
            f"{place.source} holds no SavedModel of the authors ({SAVED_MODEL}); without --from "
            f"the study fetches {WEIGHTS}."
        )
    try:
        files = fetch(cards()[WEIGHTS])
    except Offline as error:
        raise NotRun(f"The record {WEIGHTS} could not be fetched: {error}") from None
    except FileNotFoundError as error:
        raise NotRun(str(error)) from None
    target = place.data("published-weights")
    for file in files:
        _unpack(file, target)
    return target if saved_models(target) else files[0].parent


def saved_models(folder: PathLike) -> list[Path]:
    """Folders with a SavedModel below a folder."""
    return sorted(path.parent for path in Path(folder).rglob(SAVED_MODEL))


def _unpack(file: Path, target: Path) -> None:
    """Unpack an archive below ``target``; members that lead elsewhere are refused by Python."""
    if tarfile.is_tarfile(file):
        with tarfile.open(file) as archive:
            archive.extractall(target / file.name.split(".")[0], filter="data")
    elif zipfile.is_zipfile(file) and file.suffix == ".zip":
        with zipfile.ZipFile(file) as archive:
            archive.extractall(target / file.stem)


def published_commands(place: Place) -> list[str]:
    """The same as commands."""
    return [
        f"crmnet data fetch {WEIGHTS}",
        *[f"crmnet models import-keras SAVED_MODEL -o runs/published-{medium} --medium {medium}"
          for medium in MEDIA],
        *[f"crmnet evaluate runs/published-{medium} data/random-{medium} data/native-{medium}"
          for medium in MEDIA],
    ]  # fmt: skip
