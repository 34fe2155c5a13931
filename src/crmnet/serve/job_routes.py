"""Routes of designs: start, state, events, stop, files."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter, Request
from fastapi.responses import PlainTextResponse, StreamingResponse

from crmnet.serve import schemas
from crmnet.serve.errors import ApiError
from crmnet.serve.jobs import Job, Jobs
from crmnet.serve.limits import Limits
from crmnet.serve.model import Model
from crmnet.serve.routes import ERRORS, NOT_FOUND, PREFIX, TSV, PlainJson, check_bases

TOO_MANY: dict[int | str, dict[str, Any]] = {
    429: {"model": schemas.ErrorAnswer, "description": "The client has too many designs."}
}
EVENTS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Events *progress*, *done* and *failed*; their data are a job.",
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
    }
}
FILES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The file.",
        "content": {
            TSV: {"schema": {"type": "string"}},
            "text/x-fasta": {"schema": {"type": "string"}},
        },
    }
}
FileName = Literal["designs.tsv", "order.tsv", "designs.fasta"]


def check_design(asked: schemas.DesignRequest, model: Model, limits: Limits) -> None:
    """Check what can be checked without the models.

    Raises:
        ApiError: If the request is not valid.
    """
    if asked.n > limits.designs:
        raise ApiError(
            422, "too_many", f"a job may have at most {limits.designs} designs; got {asked.n}",
            limit=limits.designs, field="n",
        )  # fmt: skip
    goal, start = asked.goal, asked.start
    faults = {
        "goal.minus_medium": (goal.kind == "separate") != (goal.minus_medium is not None)
        and "separate, and no other goal, needs minus_medium",
        "goal.value": (goal.kind == "target") != (goal.value is not None)
        and "target, and no other goal, needs a value",
        "start.sequence": (start.kind == "sequence") != (start.sequence is not None)
        and "a start of kind sequence, and no other, needs a sequence",
        "max_edits": asked.max_edits is not None and start.sequence is None
        and "max_edits counts the changes of a given promoter; give a start sequence",
        "gc_low": asked.gc_low is not None and asked.gc_high is not None
        and asked.gc_low > asked.gc_high and "gc_low must not be above gc_high",
    }  # fmt: skip
    for name in ("oracle", "judge", "ranker"):
        value = getattr(asked, name)
        known = model.names
        faults[name] = value is not None and value not in known and (
            f"this server has no model {value!r}; it has {', '.join(known)}"
        )  # fmt: skip
    for place, fault in faults.items():
        if fault:
            raise ApiError(422, "invalid", fault, field=place)
    if start.sequence is not None:
        check_bases(limits, start.sequence, "start.sequence")


def make_jobs(jobs: Jobs, model: Model, limits: Limits) -> APIRouter:
    """The routes."""
    api = APIRouter(
        prefix=PREFIX, default_response_class=PlainJson, responses=ERRORS, tags=["design"]
    )

    @api.post("/design", status_code=202, response_model=schemas.JobAnswer, responses=TOO_MANY)
    async def design(request: Request, asked: schemas.DesignRequest) -> Any:
        """Start a design, as `crmnet design`; it runs as a job."""
        check_design(asked, model, limits)
        client = request.client.host if request.client else ""
        job = await jobs.start(client, asked.model_dump(exclude={"seconds"}), asked.seconds)
        return PlainJson(job.answer(), 202, {"Location": f"{PREFIX}/jobs/{job.name}"})

    @api.get("/jobs/{job}", response_model=schemas.JobAnswer, responses=NOT_FOUND)
    async def state(job: str) -> Any:
        """State and progress of a job, and its result."""
        return PlainJson(jobs.get(job).answer())

    @api.delete("/jobs/{job}", response_model=schemas.JobAnswer, responses=NOT_FOUND)
    async def stop(job: str) -> Any:
        """Stop a job; the best designs so far are its result."""
        found = jobs.get(job)
        jobs.stop(found)
        return PlainJson(found.answer())

    @api.get("/jobs/{job}/events", responses=NOT_FOUND | EVENTS)
    async def events(job: str) -> Any:
        """Progress of a job as server-sent events, until it ends."""
        found = jobs.get(job)
        jobs.check_streams()
        return StreamingResponse(jobs.events(found), media_type="text/event-stream")

    @api.get("/jobs/{job}/{file}", responses=NOT_FOUND | FILES)
    async def file(job: str, file: FileName) -> Any:
        """A file of the designs: all columns, the order sheet, or FASTA."""
        content = _file(jobs.get(job), file)
        kind = "text/x-fasta" if file.endswith(".fasta") else TSV
        headers = {"Content-Disposition": f'attachment; filename="{file}"'}
        return PlainTextResponse(content, media_type=kind, headers=headers)

    return api


def _file(job: Job, name: str) -> str:
    if name not in job.files:
        raise ApiError(404, "no_file", f"the design is {job.state} and has no files")
    return job.files[name]
