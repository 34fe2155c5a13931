"""The API by path, under ``/api/v1``; :func:`make_api` returns the routes."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.metadata
import json
from collections.abc import Awaitable
from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse

from crmnet.serve import schemas
from crmnet.serve.errors import ApiError, too_many
from crmnet.serve.examples import EXAMPLES, random_promoter
from crmnet.serve.limits import Limits
from crmnet.serve.model import Model
from crmnet.serve.tables import FORMS

PREFIX = "/api/v1"
TSV = "text/tab-separated-values"
ERRORS: dict[int | str, dict[str, Any]] = {
    400: {"model": schemas.ErrorAnswer, "description": "The request cannot be read."},
    403: {"model": schemas.ErrorAnswer, "description": "The request comes from another page."},
    408: {"model": schemas.ErrorAnswer, "description": "The request arrived too slowly."},
    413: {"model": schemas.ErrorAnswer, "description": "The body exceeds the limit."},
    415: {"model": schemas.ErrorAnswer, "description": "The body is not JSON."},
    422: {"model": schemas.ErrorAnswer, "description": "The request is not valid."},
    503: {
        "model": schemas.ErrorAnswer,
        "description": "The server has too much to do, or restarts its model.",
        "headers": {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}},
    },
}
NOT_FOUND: dict[int | str, dict[str, Any]] = {
    404: {"model": schemas.ErrorAnswer, "description": "There is no such thing."}
}
TABLE: dict[int | str, dict[str, Any]] = {
    200: {"content": {TSV: {"schema": {"type": "string"}}}, "description": "The answer."}
}


class PlainJson(JSONResponse):
    """JSON without NaN; the values are plain already."""

    def render(self, content: Any) -> bytes:
        return json.dumps(content, allow_nan=False, separators=(",", ":")).encode()


async def unless_gone(request: Request, answer: Awaitable[Any]) -> Any:
    """The answer, unless the client goes; then it is cancelled.

    Raises:
        ApiError: With a status that no one sees, if the client has gone.
    """
    task = asyncio.ensure_future(answer)
    gone = asyncio.ensure_future(_disconnected(request))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise ApiError(400, "gone", "the client closed the connection")
    finally:
        for one in (task, gone):
            one.cancel()
        with contextlib.suppress(asyncio.CancelledError, ApiError):
            await task


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def check_bases(limits: Limits, text: str, field: str, of: str = "") -> None:
    """Check the length of a sequence; the error ends with ``of``."""
    if len(text) > limits.sequence_bases:
        raise ApiError(
            422,
            "too_long",
            f"a sequence may have at most {limits.sequence_bases:,} bases; got {len(text):,}{of}",
            limit=limits.sequence_bases,
            field=field,
        )


def check_promoters(limits: Limits, promoters: list[schemas.Promoter]) -> list[dict[str, Any]]:
    """Promoters as the model process takes them, within the limits."""
    if len(promoters) > limits.sequences:
        raise too_many("sequences", limits.sequences, len(promoters), "promoters")
    named = [(promoter.id or str(n), promoter.sequence) for n, promoter in enumerate(promoters, 1)]
    for number, (name, text) in enumerate(named):
        check_bases(limits, text, f"promoters[{number}].sequence", f" in {name!r}")
    return [{"id": name, "sequence": text} for name, text in named]


def wants_table(request: Request) -> bool:
    """Whether the client asks for a table instead of JSON."""
    return TSV in request.headers.get("accept", "")


def make_api(model: Model, limits: Limits) -> APIRouter:
    """The routes of the API, but those of jobs."""
    api = APIRouter(prefix=PREFIX, default_response_class=PlainJson, responses=ERRORS)
    _about(api, model, limits)
    _compute(api, model, limits)
    return api


def _about(api: APIRouter, model: Model, limits: Limits) -> None:
    """Routes that need no computation."""

    @api.get("/health", response_model=schemas.HealthAnswer, tags=["server"])
    async def health() -> Any:
        """State of the server."""
        version = importlib.metadata.version("crmnet")
        return PlainJson({"state": model.state, "version": version})

    @api.get("/limits", response_model=schemas.LimitsAnswer, tags=["server"])
    async def limits_of_requests() -> Any:
        """What a request may have."""
        known = schemas.LimitsAnswer.model_fields
        return PlainJson({key: value for key, value in asdict(limits).items() if key in known})

    @api.get("/models", response_model=schemas.ModelsAnswer, tags=["models"])
    async def models() -> Any:
        """The models that the server offers."""
        return PlainJson(model.about)

    @api.get("/models/{name}/card", response_model=schemas.CardAnswer, responses=NOT_FOUND,
             tags=["models"])  # fmt: skip
    async def card(name: str) -> Any:
        """The card of a model: what it is, how good it is, what it is not for."""
        if name not in model.cards:
            known = ", ".join(model.cards)
            raise ApiError(404, "no_model", f"this server has no such model; it has {known}")
        return PlainJson(model.cards[name])

    @api.get("/examples", response_model=schemas.ExamplesAnswer, tags=["examples"])
    async def examples() -> Any:
        """Three promoters to try."""
        return PlainJson({"promoters": list(EXAMPLES)})

    @api.get("/examples/random", response_model=schemas.RandomAnswer, tags=["examples"])
    async def random_example(seed: int = Query(0, ge=0, le=2**53 - 1)) -> Any:
        """80 random bases; the same for the same seed."""
        return PlainJson(random_promoter(seed))


def _compute(api: APIRouter, model: Model, limits: Limits) -> None:
    """Routes that the model process answers."""

    async def answer(request: Request, kind: str, body: dict[str, Any]) -> Response:
        found = await unless_gone(request, model.call(kind, body))
        if not wants_table(request):
            return PlainJson(found)
        text = FORMS[kind](found) if kind in FORMS else found["text"]
        return PlainTextResponse(text, media_type=TSV)

    async def of_one(request: Request, kind: str, asked: schemas.SequenceRequest) -> Response:
        check_bases(limits, asked.sequence, "sequence")
        return await answer(request, kind, asked.model_dump())

    @api.post("/predict", response_model=schemas.PredictAnswer, responses=TABLE, tags=["model"])
    async def predict(request: Request, asked: schemas.PredictRequest) -> Any:
        """Expression of promoters, as `crmnet predict`; also as a table."""
        promoters = check_promoters(limits, asked.promoters)
        own = {"promoters": promoters, "tsv": wants_table(request)}
        return await answer(request, "predict", asked.model_dump() | own)

    @api.post("/batch", response_model=schemas.PredictAnswer, responses=TABLE, tags=["model"])
    async def batch(request: Request, asked: schemas.PredictRequest) -> Any:
        """The same as `/predict`, for parts of a long list."""
        return await predict(request, asked)

    @api.post("/saturate", response_model=schemas.SaturateAnswer, responses=TABLE, tags=["model"])
    async def saturate(request: Request, asked: schemas.SaturateRequest) -> Any:
        """Effects of all single substitutions, as `crmnet mutate --saturate`; or a table."""
        return await of_one(request, "saturate", asked)

    @api.post("/attribute", response_model=schemas.AttributeAnswer, responses=TABLE, tags=["model"])
    async def attribute(request: Request, asked: schemas.AttributeRequest) -> Any:
        """Contribution of each base, as `crmnet explain`, for all possible bases; or a table."""
        return await of_one(request, "attribute", asked)

    @api.post("/scan", response_model=schemas.ScanAnswer, responses=TABLE, tags=["model"])
    async def scan(request: Request, asked: schemas.ScanRequest) -> Any:
        """Motif sites on the insert, as `crmnet motifs scan`; also as a table."""
        return await of_one(request, "scan", asked)

    @api.post("/mutate", response_model=schemas.MutateAnswer, responses=TABLE, tags=["model"])
    async def mutate(request: Request, asked: schemas.MutateRequest) -> Any:
        """Effects of variants of a promoter, as `crmnet mutate`; also as a table."""
        check_bases(limits, asked.sequence, "sequence")
        if len(asked.changes) > limits.changes:
            raise too_many("changes", limits.changes, len(asked.changes), "changes")
        return await answer(request, "mutate", asked.model_dump() | {"tsv": wants_table(request)})
