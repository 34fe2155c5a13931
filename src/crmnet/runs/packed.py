"""Packed models: one or several runs in one safetensors file, with a model card in its header.

    NAME.safetensors   tensors ``0.…``, ``1.…`` of each member; the header holds the card
    NAME.json          a copy of the card for people to read; no code reads it

:func:`pack` reads run folders (:mod:`crmnet.runs.folder`) and writes a packed file.
:func:`load_model` opens every kind of trained model for prediction: a run folder, a packed file, or
a bundled model by its name. Bundled models are packed files that ship with the package
(``weights/``). Nothing is pickled, and weights that do not fit exactly are an error.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from crmnet import sequence
from crmnet.files import (
    PathLike,
    as_paths,
    check_free,
    make_parent_folder,
    write_atomically,
    write_text_atomically,
)
from crmnet.names import did_you_mean
from crmnet.runs.folder import (
    LARGEST_RECORD,
    WEIGHTS,
    build_network,
    check_readable,
    is_run,
    load_record,
    load_run,
    load_tensors,
    restore,
    unfinished,
)
from crmnet.runs.json_files import parse_object, validate
from crmnet.runs.model_card import FORMAT, NOT_FOR, ModelCard, check_card_file
from crmnet.runs.record import RunRecord, Scale, flanks_of

log = logging.getLogger("crmnet")

SUFFIX = ".safetensors"
CARD = "crmnet.card"
"""Key of the card in the file's header."""
MEGABYTE = 1_000_000
_PROBES = 256
"""Number of random promoters on which the storage error is measured."""


class LoadedModel(NamedTuple):
    """Networks of a model, in evaluation mode on the CPU, with their records and the card."""

    networks: list[nn.Module]
    records: list[RunRecord]
    card: ModelCard | None
    """None for a run folder, which has no card."""

    @property
    def media(self) -> list[str]:
        """Names of the outputs."""
        return self.records[0].media if self.card is None else self.card.media

    @property
    def length(self) -> int:
        """Positions of the input."""
        return self.records[0].length if self.card is None else self.card.length

    @property
    def units(self) -> dict[str, str]:
        """Output → unit of its predictions, where it is known."""
        return self.records[0].units if self.card is None else self.card.units


@dataclass(frozen=True)
class PackOptions:
    """Options of :func:`pack`."""

    about: str = ""
    """One line on what the model is."""
    reverse_complement: bool = False
    """Whether predictions are the mean of both strands. Runs that were not trained on reverse
    complements, beside others that were, predict the given strand alone."""
    media: tuple[str, ...] = ()
    """Outputs of the model; empty means all outputs of all runs, in order."""
    only: Mapping[Path, tuple[str, ...]] = field(default_factory=dict)
    """Run → the media that it predicts in the model; other runs predict all of theirs."""
    half: bool = False
    """Store matrices in 16 bits; vectors (biases, batch norms) keep 32."""
    max_megabytes: float | None = None
    """Fail if the file is larger than this."""
    not_for: tuple[str, ...] = ()
    """Unsuitable uses of the model, besides :data:`~crmnet.runs.model_card.NOT_FOR`."""
    notes: tuple[str, ...] = ()
    """What users should know, in plain sentences."""
    unfinished: bool = False
    """Take runs whose training was interrupted, too; the card says which."""


def bundled() -> dict[str, Path]:
    """The models that ship with the package: name → file."""
    folder = Path(str(resources.files("crmnet"))) / "weights"
    return {path.stem: path for path in sorted(folder.glob(f"*{SUFFIX}"))}


def packed_file(model: PathLike) -> Path | None:
    """The file of a packed or bundled model; None if ``model`` is neither.

    A run folder with the name of a bundled model takes precedence over it. Any other folder or file
    of such a name (``yeast``) does not.
    """
    path = Path(model)
    if path.is_file() and path.suffix == SUFFIX:
        return path
    return None if is_run(path) else bundled().get(os.fspath(model))


def is_bundled(model: PathLike) -> bool:
    """Whether ``model``, a name or a file, is one of the bundled models."""
    file = packed_file(model)
    return file is not None and file.resolve() in {path.resolve() for path in bundled().values()}


def load_model(model: PathLike) -> LoadedModel:
    """Load a run folder, a packed file, or a bundled model by name.

    The log warns of a run whose training was not finished.

    Raises:
        FileNotFoundError: If ``model`` is none of these; lists the bundled models.
        ValueError: If its contents are damaged or do not fit the network.
    """
    file = packed_file(model)
    if file is not None:
        return load_packed(file)
    _check_exists(model)
    network, record = load_run(model)
    if not record.finished:
        log.warning("%s", unfinished(model))
    return LoadedModel([network], [record], None)


def start_record(model: PathLike) -> RunRecord:
    """Record of the network from which training starts: of several members, the first.

    Raises:
        FileNotFoundError: If the run, packed file or bundled model does not exist.
        ValueError: If it is damaged.
    """
    file = packed_file(model)
    if file is not None:
        return load_card(file).members[0]
    _check_exists(model)
    return load_record(model)


def weights_file(model: PathLike) -> Path:
    """The file with the weights of a run, a packed file or a bundled model."""
    return packed_file(model) or Path(model) / WEIGHTS


def require_packed(model: PathLike) -> Path:
    """The file of a packed or bundled model.

    Raises:
        FileNotFoundError: If there is no such model.
        ValueError: If it is a run folder.
    """
    file = packed_file(model)
    if file is None:
        _check_exists(model)
        raise ValueError(f"{model} is not a packed model; make one with `crmnet models pack`")
    return file


def _check_exists(model: PathLike) -> None:
    if not Path(model).exists():
        names = ", ".join(bundled()) or "none"
        raise FileNotFoundError(
            f"{model}: no such run folder, packed file or bundled model; "
            f"{did_you_mean(str(model), bundled()) or f'bundled: {names}'}"
        )


def pack(
    runs: PathLike | Sequence[PathLike],
    path: PathLike,
    options: PackOptions | None = None,
    *,
    overwrite: bool = False,
) -> ModelCard:
    """Pack run folders into the file ``path``, with its card next to it; several form an ensemble.

    Raises:
        FileExistsError: If ``path`` exists and ``overwrite`` is False: its calibration would be
            lost.
        ValueError: If a unit or the treatment of adapters differs between runs, a run predicts none
            of the media, is not finished (unless ``options.unfinished``), is given twice or is
            already packed, a weight does not fit 16 bits, the name is not ``*.safetensors``, or the
            file would be too large.
    """
    runs, path = as_paths(runs), Path(path)
    options = options or PackOptions()
    check_name(path, overwrite)
    _check_runs(runs)
    members = [load_run(run) for run in runs]
    records = [record for _, record in members]
    if not options.unfinished:
        _check_finished(runs, records)
    only = _numbered(runs, records, options.only)
    media = _chosen_media(runs, records, options.media, only)
    _check_units(runs, records)
    _check_flanks(runs, records)
    tensors = {}
    errors: dict[str, float] = {}
    for number, (network, record) in enumerate(members):
        stored = {
            name: _stored(value, options.half, name) for name, value in network.state_dict().items()
        }
        if options.half:
            for medium, error in _storage_error(network, record, stored).items():
                errors[medium] = max(error, errors.get(medium, 0.0))
        tensors.update({f"{number}.{name}": value for name, value in stored.items()})
    card = ModelCard(
        name=path.stem,
        about=options.about,
        media=media,
        members=records,
        reverse_complement=options.reverse_complement,
        forward_only=_forward_only(records) if options.reverse_complement else (),
        only=only,
        storage="float16" if options.half else "float32",
        storage_error={medium: errors[medium] for medium in media if medium in errors},
        fingerprint="",
        not_for=(*NOT_FOR, *options.not_for),
        notes=options.notes,
    )
    card = card.model_copy(update={"fingerprint": _fingerprint(tensors, card)})
    save_packed(path, tensors, card, options.max_megabytes)
    return card


def check_name(path: PathLike, overwrite: bool = False) -> None:
    """Check that a packed model may be written to ``path``.

    Raises:
        FileExistsError: If ``path`` exists and ``overwrite`` is False, or the file of its card is
            something else.
        ValueError: If it is not named ``*.safetensors``.
        OSError: As :func:`crmnet.files.make_parent_folder`.
    """
    path = Path(path)
    if path.suffix != SUFFIX:
        raise ValueError(f"a packed model is named *{SUFFIX}; got {path}")
    make_parent_folder(path)
    check_free(path, overwrite)
    check_card_file(path)


def load_card(path: PathLike) -> ModelCard:
    """The card in the header of a packed file.

    Raises:
        OSError: If the file cannot be read.
        ValueError: If the file is not a packed model, or if its format is unknown to this version.
    """
    check_readable(path)
    try:
        with safe_open(path, "pt") as file:
            text = (file.metadata() or {}).get(CARD)
    except (SafetensorError, OverflowError) as error:
        raise ValueError(f"{path} is damaged or not a safetensors file: {error}") from error
    if text is None:
        raise ValueError(f"{path} has no card; pack runs with `crmnet models pack`")
    if len(text) > LARGEST_RECORD:
        raise ValueError(f"{path}: its card is damaged: {len(text):,} characters are too many")
    raw = parse_object(text, f"{path}: its card")
    file_format = raw.get("format")
    if file_format != FORMAT:
        raise ValueError(f"{path} has format {file_format!r:.60}; this crmnet reads {FORMAT}")
    return validate(ModelCard, raw, f"{path}: its card")


def load_packed(path: PathLike) -> LoadedModel:
    """The networks of a packed file, in evaluation mode and in 32 bits, and its card.

    Raises:
        ValueError: If the weights do not belong to the card, or do not fit the networks.
    """
    card, tensors = load_card(path), load_tensors(path)
    for name in tensors:
        if name.partition(".")[0] not in map(str, range(len(card.members))):
            raise ValueError(f"{path} holds tensor {name!r}, which belongs to no network")
    if _fingerprint(tensors, card) != card.fingerprint:
        raise ValueError(f"{path} is damaged: its weights do not belong to its card")
    networks = []
    for number, record in enumerate(card.members):
        member_tensors = {
            name.removeprefix(f"{number}."): value.float() if value.is_floating_point() else value
            for name, value in tensors.items()
            if name.startswith(f"{number}.")
        }
        networks.append(restore(record, member_tensors, path))
    return LoadedModel(networks, card.members, card)


def save_packed(
    path: PathLike, tensors: dict[str, Tensor], card: ModelCard, max_megabytes: float | None = None
) -> None:
    """Write the packed file, then the copy of its card.

    Raises:
        FileExistsError: As :func:`~crmnet.runs.model_card.check_card_file`.
        ValueError: If the file is larger than ``max_megabytes``; an earlier file stays.
    """
    path = Path(path)
    check_card_file(path)
    text = card.model_dump_json()

    def write(partial: Path) -> None:
        save_file(tensors, partial, metadata={CARD: text})
        size = partial.stat().st_size / MEGABYTE
        if max_megabytes is not None and size > max_megabytes:
            raise ValueError(
                f"{path} would take {size:.2f} MB, more than {max_megabytes:g}; "
                "store 16 bits (--half), or pack fewer or smaller runs"
            )

    write_atomically(path, write)
    write_text_atomically(path.with_suffix(".json"), card.model_dump_json(indent=2) + "\n")


def write_with_card(file: PathLike, card: ModelCard, path: PathLike) -> None:
    """Write the weights of a packed file to ``path`` with another card; both may be one file."""
    save_packed(path, load_tensors(file), card)


def write_rescaled(
    file: PathLike, lines: Mapping[str, tuple[float, float]], path: PathLike
) -> None:
    """Write a packed file to ``path`` with outputs on another scale; both may be one file.

    Each member's prediction p of a medium becomes slope × p + offset, so the mean over members does
    too. Intervals and test results leave the card, for they belong to the old scale.

    Args:
        file: The packed file.
        lines: Medium → slope and offset; other media stay.
        path: Packed file to write.
    """
    card, tensors = load_card(file), load_tensors(file)
    error = {m: e * lines[m][0] if m in lines else e for m, e in card.storage_error.items()}
    card = card.model_copy(
        update={
            "members": [_rescaled(record, lines) for record in card.members],
            "storage_error": error,
            "tests": {},
            "coverage": {},
            "calibration": None,
            "error_correlations": {},
            "differences": None,
        }
    )
    card = card.model_copy(update={"fingerprint": _fingerprint(tensors, card)})
    save_packed(path, tensors, card)


def _rescaled(record: RunRecord, lines: Mapping[str, tuple[float, float]]) -> RunRecord:
    scales = dict(record.scale)
    for medium in lines.keys() & scales.keys():
        slope, offset = lines[medium]
        old = scales[medium]
        scales[medium] = Scale(mean=offset + slope * old.mean, sd=slope * old.sd)
    return record.model_copy(update={"scale": scales})


def _check_runs(runs: Sequence[Path]) -> None:
    for run in runs:
        if packed_file(run) is not None:
            raise ValueError(f"{run} is already packed; give the run folders that it contains")
        if [Path(other).resolve() for other in runs].count(Path(run).resolve()) > 1:
            raise ValueError(f"{run} is given twice; give each run once")


def _check_finished(runs: Sequence[Path], records: Sequence[RunRecord]) -> None:
    for run, record in zip(runs, records, strict=True):
        if not record.finished:
            raise ValueError(f"{unfinished(run)}, --unfinished packs it as it is")


def _chosen_media(
    runs: Sequence[Path],
    records: Sequence[RunRecord],
    chosen: Sequence[str],
    only: Mapping[int, tuple[str, ...]],
) -> list[str]:
    """Outputs of the packed model, after a check that every run contributes to one of them."""
    used = [only.get(number, tuple(record.media)) for number, record in enumerate(records)]
    known = list(dict.fromkeys(medium for record in records for medium in record.media))
    for medium in chosen:
        if medium not in known:
            hint = did_you_mean(medium, known) or f"their outputs are {', '.join(known)}"
            raise ValueError(f"no run predicts {medium!r}; {hint}")
    media = list(chosen) or known
    for run, of_run in zip(runs, used, strict=True):
        if not set(of_run) & set(media):
            raise ValueError(
                f"{run} predicts {', '.join(of_run)}, none of {', '.join(media)}; leave it "
                "out, or name its medium"
            )
    for medium in media:
        if not any(medium in of_run for of_run in used):
            raise ValueError(
                f"no member predicts {medium!r}: --only leaves it out of every run; name the media "
                "of the packed model with --medium"
            )
    return media


def _numbered(
    runs: Sequence[Path], records: Sequence[RunRecord], only: Mapping[Path, tuple[str, ...]]
) -> dict[int, tuple[str, ...]]:
    """The media of some runs by the number of the run, checked."""
    for run in only:
        if run not in runs:
            raise ValueError(f"{run} is none of the runs to pack: {', '.join(map(str, runs))}")
    numbered = {number: only[run] for number, run in enumerate(runs) if run in only}
    for number, media in numbered.items():
        known = records[number].media
        for medium in media:
            if medium not in known:
                raise ValueError(
                    f"{runs[number]} does not predict {medium!r}; its outputs are "
                    f"{', '.join(known)}"
                )
    return numbered


def _check_units(runs: Sequence[Path], records: Sequence[RunRecord]) -> None:
    """Check that all runs predict a medium in the same unit."""
    first: dict[str, tuple[Path, str]] = {}
    for run, record in zip(runs, records, strict=True):
        for output, unit in record.units.items():
            other, other_unit = first.setdefault(output, (run, unit))
            if unit != other_unit:
                raise ValueError(
                    f"{run} predicts {output} in {unit}, {other} in {other_unit}; the members of "
                    "an ensemble must agree"
                )


def _check_flanks(runs: Sequence[Path], records: Sequence[RunRecord]) -> None:
    """Check that the training data of all runs were read with adapters, or of none."""
    bare = [run for run, record in zip(runs, records, strict=True) if flanks_of([record]) == "none"]
    others = [run for run in runs if run not in bare]
    if bare and others:
        raise ValueError(
            f"the training data of {bare[0]} were read with --flanks none, those of {others[0]} "
            "were not; the members of an ensemble read the same sequences"
        )


def _forward_only(records: Sequence[RunRecord]) -> tuple[int, ...]:
    """Numbers of the members that were not trained on reverse complements, if others were."""
    trained = [
        bool(r.settings.train.reverse_complement or r.settings.train.average_strands)
        for r in records
    ]
    return tuple(n for n, both in enumerate(trained) if not both) if any(trained) else ()


def _stored(value: Tensor, half: bool, name: str) -> Tensor:
    value = value.detach().cpu().contiguous()
    if not half or not value.is_floating_point() or value.ndim < 2:
        return value
    small = value.half()
    if not bool(torch.isfinite(small).all()):
        raise ValueError(f"tensor {name!r} does not fit 16 bits; pack without --half")
    return small


def _storage_error(
    network: nn.Module, record: RunRecord, stored: dict[str, Tensor]
) -> dict[str, float]:
    """Largest change of a prediction by storage, on random promoters, in each medium's unit."""
    letters = np.random.default_rng(0).integers(4, size=(_PROBES, 80), dtype=np.uint8)
    tokens, _ = sequence.prepare(letters, np.full(_PROBES, 80), "add", record.length)
    x_BCL = sequence.one_hot(torch.from_numpy(tokens))
    restored = build_network(record).eval()
    restored.load_state_dict(
        {k: v.float() if v.is_floating_point() else v for k, v in stored.items()}
    )
    with torch.inference_mode():
        change = (network(x_BCL) - restored(x_BCL)).abs().amax(dim=0).tolist()
    return {m: c * record.scale[m].sd for m, c in zip(record.media, change, strict=True)}


def _fingerprint(tensors: dict[str, Tensor], card: ModelCard) -> str:
    """SHA-256 of everything that determines a prediction, and of nothing else."""
    digest = hashlib.sha256(str(card.reverse_complement).encode())
    for record in card.members:
        scale = [[record.scale[medium].mean, record.scale[medium].sd] for medium in record.media]
        model, loss = record.settings.model, record.settings.train.loss
        relevant = [model.name, model.settings, loss, record.media, scale]
        digest.update(json.dumps(relevant, sort_keys=True).encode())
    if card.forward_only or any(record.media != card.media for record in card.members):
        digest.update(json.dumps([card.media, card.forward_only]).encode())
    if card.only:
        digest.update(json.dumps([card.media_of(n) for n in range(len(card.members))]).encode())
    for name in sorted(tensors):
        value = tensors[name].contiguous()
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
