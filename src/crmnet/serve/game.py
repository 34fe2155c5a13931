"""The Genomic API for Model Evaluation (GAME), version 1.0: this server as a Predictor.

An Evaluator sends sequences and *prediction tasks* to ``POST /predict``, as JSON or MessagePack,
and reads predictions; ``GET /formats`` and ``GET /help`` describe the Predictor. Errors are lists
of ``{key: message}``, always as JSON. :func:`make_game` returns the routes.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import msgpack
from fastapi import APIRouter, Request, Response

from crmnet.evaluation.game_names import SPECIES, VERSION, cell_type, medium_of
from crmnet.serve.errors import ApiError
from crmnet.serve.limits import Limits
from crmnet.serve.model import Model
from crmnet.serve.routes import unless_gone
from crmnet.serve.safety import GAME, JSON, MSGPACK

FORMATS = [JSON, MSGPACK]
TYPE = re.compile(
    r"accessibility|expression(_pol[123]|_splicing_(acceptor|donor))?"
    r"|(binding|conformation)_[A-Za-z0-9_.-]+"
)
EXPRESSION = ("expression", "expression_pol2")
"""Types of a task that the reporter assay measures."""
ID = re.compile(r"[A-Za-z0-9\-._~#@%^&*()]{1,200}")
SPECIES_FORM = re.compile(r"[a-z0-9]+(_[a-z0-9]+)+")
CHUNK = 500
"""Sequences that go to the model process at a time, so that others have their turn."""
LABELS = Path("/.singularity.d/labels.json")
"""Where Apptainer describes its image."""
BUILT = "org.label-schema.build-date"
BAD, FAILED, BROKEN = "bad_prediction_request", "prediction_request_failed", "server_error"
STATUS = {BAD: 400, FAILED: 422, BROKEN: 500}


class GameError(Exception):
    """A request that is refused, with all its faults.

    Args:
        key: Kind of error.
        messages: One sentence for each fault.
        status: HTTP status; None means that of the kind.
    """

    def __init__(self, key: str, *messages: str, status: int | None = None) -> None:
        super().__init__("; ".join(messages))
        self.key, self.messages, self.status = key, messages, status or STATUS[key]

    def body(self) -> dict[str, Any]:
        """The answer, without the name of the Predictor."""
        return {"error": [{self.key: message} for message in self.messages]}


class Task(NamedTuple):
    """A prediction task, and the medium of the model that answers it."""

    given: Mapping[str, Any]
    medium: str


class Asked(NamedTuple):
    """A valid request."""

    tasks: list[Task]
    sequences: dict[str, str]
    """Id → sequence with the flanks of the request."""


def predictor_name(model: str) -> str:
    """Name of this Predictor: the time of its image inside Apptainer, else ``_dev``."""
    name = f"crmnet_{model}"
    try:
        built = json.loads(LABELS.read_text())[BUILT]
        time = datetime.strptime(re.sub(r"\s+", " ", built), "%A_%d_%B_%Y_%H:%M:%S_%Z")
        return f"{name}_{time:%Y%m%d-%H%M%S}_{built.rpartition('_')[2]}"
    except (OSError, ValueError, KeyError, TypeError):
        return f"{name}_dev"


def help_of(model: Mapping[str, Any]) -> dict[str, Any]:
    """What ``GET /help`` answers for a model of :attr:`Model.about`."""
    media = [medium["name"] for medium in model["media"]]
    return {
        "model": f"crmnet {model['name']}: {model['about']}".rstrip(": "),
        "game_schema_version": VERSION,
        "publication": "https://doi.org/10.3389/fdata.2023.1113402",
        "features": ["expression"] * len(media),
        "cell_types": [cell_type(medium) for medium in media],
        "species": [SPECIES],
        "container_authors": "the authors of crmnet",
        "model_authors": "the authors of crmnet",
        "input_size": model["length"],
        "bin_size": 1,
        "expression_strand_specific": True,
    }


def decode(body: bytes, kind: str, limits: Limits) -> Any:
    """The content of a body.

    Raises:
        GameError: If it cannot be read.
    """
    try:
        if kind == MSGPACK:
            return msgpack.unpackb(
                body, raw=False, strict_map_key=True, max_ext_len=0,
                max_map_len=limits.game_sequences, max_array_len=limits.game_sequences,
            )  # fmt: skip
        return json.loads(body)
    except (ValueError, RecursionError, msgpack.UnpackException) as error:
        name = "MessagePack" if kind == MSGPACK else "JSON"
        reason = type(error).__name__ if not str(error) else str(error)
        raise GameError(BAD, f"the body is not {name}: {reason[:200]}") from None


def read_body(body: bytes, kind: str, model: Mapping[str, Any], limits: Limits) -> Asked:
    """Decode and check a request."""
    return read_request(decode(body, kind, limits), model, limits)


def read_request(content: Any, model: Mapping[str, Any], limits: Limits) -> Asked:
    """Check a request.

    Raises:
        GameError: If it is not valid (400), or cannot be answered (422).
    """
    if not isinstance(content, dict):
        raise GameError(BAD, "the request must be a map of keys")
    faults = [f"{key} is missing" for key in ("readout", "prediction_tasks", "sequences")
              if key not in content]  # fmt: skip
    if faults:
        raise GameError(BAD, *faults)
    faults = [*_readout_faults(content["readout"]), *_task_faults(content["prediction_tasks"])]
    flanks = [content.get(key, "") for key in ("upstream_seq", "downstream_seq")]
    for key, flank in zip(("upstream_seq", "downstream_seq"), flanks, strict=True):
        if not isinstance(flank, str):
            faults.append(f"{key} must be text")
    faults += _sequence_faults(content["sequences"])
    if faults:
        raise GameError(BAD, *faults[:20])
    sequences = {name: flanks[0] + text + flanks[1] for name, text in content["sequences"].items()}
    _check_ranges(content.get("prediction_ranges"), sequences)
    _check_possible(content, sequences, limits)
    media = [medium["name"] for medium in model["media"]]
    tasks = [Task(task, _medium(task, media)) for task in content["prediction_tasks"]]
    return Asked(tasks, sequences)


def _readout_faults(readout: Any) -> list[str]:
    kinds = ("point", "track", "interaction_matrix")
    return [] if readout in kinds else [f"readout must be one of {', '.join(kinds)}"]


def _task_faults(tasks: Any) -> list[str]:
    if not isinstance(tasks, list) or not tasks or len(tasks) > 100:
        return ["prediction_tasks must be a list of 1 to 100 tasks"]
    faults = []
    for number, task in enumerate(tasks):
        if not isinstance(task, dict):
            faults.append(f"prediction_tasks[{number}] must be a map")
            continue
        for key in ("name", "type", "cell_type", "species"):
            if not isinstance(task.get(key), str) or not (
                0 < len(task[key]) <= 200 and task[key].isprintable()
            ):
                faults.append(f"prediction_tasks[{number}].{key} must be a short text")
        if isinstance(task.get("type"), str) and not TYPE.fullmatch(task["type"]):
            faults.append(f"prediction_tasks[{number}].type is unknown")
        if isinstance(task.get("species"), str) and not SPECIES_FORM.fullmatch(task["species"]):
            faults.append(
                f"prediction_tasks[{number}].species must be lower case with underscores, such as "
                f"{SPECIES}"
            )
        if task.get("scale", "linear") not in ("linear", "log"):
            faults.append(f"prediction_tasks[{number}].scale must be linear or log")
    return faults


def _sequence_faults(sequences: Any) -> list[str]:
    if not isinstance(sequences, dict) or not sequences:
        return ["sequences must be a map of at least one id to its sequence"]
    if faults := [name for name in sequences if not ID.fullmatch(str(name))]:
        return [f"the sequence id {faults[0][:50]!r} has characters that are not allowed"]
    return [
        f"the sequence {name} must be text with at least one base"
        for name, text in sequences.items()
        if not isinstance(text, str) or not text
    ]


def _check_ranges(ranges: Any, sequences: Mapping[str, str]) -> None:
    """Check the ranges, which do not change a prediction: the model reads the sequence around."""
    if ranges is None or ranges == {}:
        return
    if not isinstance(ranges, dict) or set(ranges) != set(sequences):
        raise GameError(BAD, "prediction_ranges must have the ids of sequences")
    for name, part in ranges.items():
        if part == []:
            continue
        is_pair = isinstance(part, list) and len(part) == 2 and all(type(i) is int for i in part)
        if not is_pair:
            raise GameError(BAD, f"the range of {name} must be [start, end] or []")
        if not 0 <= part[0] <= part[1] < len(sequences[name]):
            raise GameError(
                FAILED, f"the range of {name} is outside the sequence, which has "
                f"{len(sequences[name])} bases with its flanks",
            )  # fmt: skip


def _check_possible(
    content: Mapping[str, Any], sequences: Mapping[str, str], limits: Limits
) -> None:
    if content["readout"] != "point":
        raise GameError(FAILED, "this Predictor predicts one number per sequence: readout point")
    if len(sequences) > limits.game_sequences:
        raise GameError(
            FAILED, f"a request may have at most {limits.game_sequences:,} sequences; got "
            f"{len(sequences):,}",
        )  # fmt: skip
    for name, text in sequences.items():
        if len(text) > limits.sequence_bases:
            raise GameError(
                FAILED, f"the sequence {name} has {len(text):,} bases with its flanks; at most "
                f"{limits.sequence_bases:,} are allowed",
            )  # fmt: skip


def _medium(task: Mapping[str, Any], media: list[str]) -> str:
    """The medium of the model for a task."""
    if task["type"] not in EXPRESSION:
        raise GameError(
            FAILED, f"this Predictor cannot predict {task['type']}, only expression"
        )  # fmt: skip
    if task["species"] != SPECIES:
        raise GameError(FAILED, f"this Predictor knows one species, {SPECIES}")
    medium = medium_of(task["cell_type"], media)
    if medium is not None:
        return medium
    known = ", ".join(cell_type(medium) for medium in media)
    raise GameError(
        FAILED, f"this Predictor does not know the cell type {task['cell_type']}; it knows {known}"
    )


def answer_of(asked: Asked, values: Mapping[str, Mapping[str, float]], model: str) -> Any:
    """The answer: for each task one number in a list for each sequence.

    Args:
        asked: The request.
        values: Medium → id → prediction.
        model: Name of the model.
    """
    tasks = []
    for task, medium in asked.tasks:
        tasks.append({
            "name": task["name"],
            "type_requested": task["type"],
            "type_actual": ["expression"],
            "cell_type_requested": task["cell_type"],
            "cell_type_actual": cell_type(medium),
            "species_requested": task["species"],
            "species_actual": SPECIES,
            **({"scale_prediction_requested": task["scale"]} if "scale" in task else {}),
            "scale_prediction_actual": "log",
            "aggregation": {"replicates": "mean of the members of the ensemble"},
            "predictions": {name: [value] for name, value in values[medium].items()},
        })  # fmt: skip
    return {"predictor_name": predictor_name(model), "prediction_tasks": tasks}


def make_game(model: Model, limits: Limits) -> APIRouter:
    """The routes of GAME, which are not part of the OpenAPI document."""
    game = APIRouter(include_in_schema=False)

    def default() -> dict[str, Any]:
        name = model.about["default"]
        return next(entry for entry in model.about["models"] if entry["name"] == name)

    def answer(content: Any, accept: str = JSON, status: int = 200) -> Response:
        named = {"predictor_name": predictor_name(default()["name"])} | content
        if MSGPACK in accept.lower() and status == 200:
            return Response(msgpack.packb(named, use_bin_type=True), media_type=MSGPACK)
        return Response(json.dumps(named, allow_nan=False), status, media_type=JSON)

    @game.get("/formats")
    async def formats() -> Response:
        return answer({
            "predictor_supported_request_formats": FORMATS,
            "predictor_supported_response_formats": FORMATS,
        })  # fmt: skip

    @game.get("/help")
    async def about() -> Response:
        return answer(help_of(default()))

    @game.post(GAME)
    async def predict(request: Request) -> Response:
        accept = request.headers.get("accept", JSON)
        kind = request.headers.get("content-type", JSON).partition(";")[0].strip().lower()
        try:
            body = await request.body()
            asked = await asyncio.to_thread(read_body, body, kind, default(), limits)
            values = await unless_gone(request, predict_all(asked))
            return answer(answer_of(asked, values, default()["name"]), accept)
        except GameError as error:
            return answer(error.body(), status=error.status)

    async def predict_all(asked: Asked) -> dict[str, dict[str, float]]:
        values: dict[str, dict[str, float]] = {task.medium: {} for task in asked.tasks}
        names = list(asked.sequences)
        for first in range(0, len(names), CHUNK):
            promoters = [
                {"id": name, "sequence": asked.sequences[name]}
                for name in names[first : first + CHUNK]
            ]
            body = {"promoters": promoters, "model": None, "flanks": "auto"}
            try:
                found = await model.call("values", body)
            except ApiError as error:
                raise _failure(error) from error
            for medium, of_medium in values.items():
                of_medium.update(zip(found["ids"], found["values"][medium], strict=True))
        return values

    return game


def _failure(error: ApiError) -> GameError:
    key = FAILED if error.status == 422 else BROKEN if error.status >= 500 else BAD
    return GameError(key, error.message, status=error.status)


def refusal(error: ApiError, model: Model) -> dict[str, Any]:
    """An error of the server in the form of GAME."""
    name = predictor_name(model.about["default"])
    return {"predictor_name": name} | _failure(error).body()
