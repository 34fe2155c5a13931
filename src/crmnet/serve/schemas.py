"""Requests and answers of the API, as FastAPI documents them.

A request is checked here for its form, in :mod:`crmnet.serve.routes` for the limits of the server,
and in the model process for its sequences. Answers come from the model process as they are
described here; they are not checked again.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from crmnet.choices import Flanks, Goal, Method, SearchMethod, SynthesisPreset
from crmnet.serve.examples import EXAMPLES

Name = Annotated[str, Field(min_length=1, max_length=200)]
EXAMPLE = EXAMPLES[0]["sequence"]
# The pattern only documents: the model process names the position of another letter.
Bases = Annotated[
    str,
    Field(min_length=1, examples=[EXAMPLE], json_schema_extra={"pattern": "^[ACGTNacgtn]+$"}),
]
Change = Annotated[
    str,
    Field(
        min_length=1,
        max_length=2000,
        examples=["35T>G"],
        json_schema_extra={"pattern": "^[0-9]{1,4}[ACGT]>[ACGT]$|^[0-9]{1,4}(del|insACG)$"},
    ),
]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Motif = Annotated[str, Field(min_length=1, max_length=60)]


class Request(BaseModel):
    """A body that a client sends; unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)


class Promoter(Request):
    """A sequence with its name."""

    id: Name | None = Field(
        None, description="Default: the number of the promoter, from 1.", examples=["HIS3"]
    )
    sequence: Bases = Field(description="An insert or a construct of A, C, G, T and N.")


class OfModel(Request):
    """A request to a model."""

    model: Name | None = Field(
        None, description="One of `GET /models`; default: the first.", examples=[None]
    )
    flanks: Flanks = Field(
        "auto",
        description="Adapters: *auto* adds both if neither is present, *add* always adds them, "
        "*none* never does.",
    )


class PredictRequest(OfModel):
    """Promoters to predict."""

    promoters: list[Promoter] = Field(min_length=1)


class SequenceRequest(OfModel):
    """A request about one promoter."""

    sequence: Bases


class SaturateRequest(SequenceRequest):
    """A promoter whose single substitutions are predicted."""

    media: list[Name] | None = Field(
        None, description="Default: all media of the model.", examples=[None]
    )


class AttributeRequest(SaturateRequest):
    """A promoter to explain."""

    method: Method = "ism"


class ScanRequest(SequenceRequest):
    """A promoter whose motif sites are searched."""

    threshold: float = Field(1e-4, gt=0, le=0.01, description="Highest p-value of a site.")
    contributions: bool = Field(
        True, description="Add the sum of the attributions (*ism*) over each site."
    )


class MutateRequest(SequenceRequest):
    """A promoter and its variants."""

    changes: list[Change] = Field(
        min_length=1,
        description="Variants such as 35A>G, 35insACG or 12_14del, joined by + if they occur "
        "together. Positions count from 1 on the sequence as given.",
    )


class DesignGoal(Request):
    """What the designs are to reach."""

    kind: Goal
    medium: Name = Field(examples=["complex"])
    minus_medium: Name | None = Field(None, description="*separate*: the medium of low expression.")
    value: Finite | None = Field(None, description="*target*: the expression to reach.")


class DesignStart(Request):
    """Where the search starts."""

    kind: Literal["random", "sequence"] = "random"
    sequence: Bases | None = None


class DesignRequest(Request):
    """A design, with the options of `crmnet design`."""

    goal: DesignGoal
    start: DesignStart = DesignStart()
    n: int = Field(10, ge=1, description="Number of designs.")
    steps: int | None = Field(None, ge=1, le=10_000, description="Default: by method.")
    method: SearchMethod = "greedy"
    max_edits: int | None = Field(None, ge=1, le=1000, description="Needs a start sequence.")
    avoid_enzymes: list[Motif] = Field([], max_length=50)
    avoid_motifs: list[Motif] = Field([], max_length=50)
    keep_motifs: list[Motif] = Field([], max_length=10)
    gc_low: float | None = Field(None, ge=0, le=1, description="Share of G + C of the insert.")
    gc_high: float | None = Field(None, ge=0, le=1)
    max_homopolymer: int | None = Field(None, ge=1, le=1000)
    preset: SynthesisPreset | None = None
    seed: int = Field(0, ge=0, le=2**31 - 1)
    oracle: Name | None = Field(None, description="Default: yeast-taught.")
    judge: Name | None = Field(None, description="Default: yeast-measured.")
    ranker: Name | None = Field(None, description="Orders the designs. Default: yeast.")
    seconds: float | None = Field(None, gt=0, description="Longest search.")


class Problem(BaseModel):
    """Why a request was not answered."""

    code: str
    message: str
    limit: float | None
    field: str | None


class ErrorAnswer(BaseModel):
    """Answer to a request that cannot be answered."""

    error: Problem


class Span(BaseModel):
    """A place in the given sequence, from 1."""

    start: int
    length: int


class Estimate(BaseModel):
    """Predicted expression in one medium; null where the model does not know."""

    value: float
    low: float | None
    high: float | None
    percentile: float | None
    percentile_words: str | None


class Unlike(BaseModel):
    """Whether the sequence is unlike the training data."""

    flag: bool
    words: str


class Prediction(BaseModel):
    """Prediction of one promoter."""

    id: str
    position_of_insert: Span
    insert: str
    expression: dict[str, Estimate]
    unlike_training: Unlike
    notes: list[str]


class PredictAnswer(BaseModel):
    """Predictions, in the order of the request."""

    model: str
    media: list[str]
    units: dict[str, str]
    rows: list[Prediction]


class SaturateAnswer(BaseModel):
    """Differences by all single substitutions: 4 rows A, C, G, T by positions of the insert.

    0 at the base that is present. An N has no substitutions: null in all rows.
    """

    model: str
    insert: str
    position_of_insert: Span
    bases: str
    media: list[str]
    reference: dict[str, float]
    effect: dict[str, list[list[float | None]]]
    random_effects: dict[str, dict[str, float]] | None


class AttributeAnswer(BaseModel):
    """Attributions, 4 rows A, C, G, T by positions of the insert."""

    model: str
    insert: str
    position_of_insert: Span
    method: str
    media: list[str]
    values: dict[str, list[list[float]]]


class Site(BaseModel):
    """A site of a motif; start and end count from 1 on the insert (in a table, as given)."""

    name: str
    matrix_id: str
    start: int
    end: int
    strand: str
    score: float
    p_value: float
    contribution: dict[str, float] | None


class ScanAnswer(BaseModel):
    """Sites on the insert."""

    insert: str
    position_of_insert: Span
    sites: list[Site]


class Difference(BaseModel):
    """Difference of expression in one medium."""

    value: float
    low: float | None
    high: float | None
    percentile: float


class VariantExpression(BaseModel):
    """Expression of a variant; null where the model does not know."""

    value: float
    low: float | None
    high: float | None


class Variant(BaseModel):
    """Effect of one variant."""

    variant: str
    sequence: str
    expression: dict[str, VariantExpression]
    delta: dict[str, Difference]
    sites_gained: list[str]
    sites_lost: list[str]
    flags: list[str]


class MutateAnswer(BaseModel):
    """Effects of variants, in the order of the request."""

    model: str
    media: list[str]
    variants: list[Variant]


class MediumAbout(BaseModel):
    """A medium; low and high are the ends of its scale."""

    name: str
    unit: str
    low: float
    high: float


class ModelAbout(BaseModel):
    """A model that the server offers."""

    name: str
    about: str
    media: list[MediumAbout]
    parameters: int
    length: int
    card: dict[str, Any] | None


class ModelsAnswer(BaseModel):
    """The models that the server offers."""

    default: str
    models: list[ModelAbout]


class CardAnswer(BaseModel):
    """The card of a model, as text and as data."""

    name: str
    text: str
    card: dict[str, Any] | None


class Example(BaseModel):
    """A promoter to try."""

    id: str
    title: str
    sequence: str
    note: str


class ExamplesAnswer(BaseModel):
    """Promoters to try."""

    promoters: list[Example]


class RandomAnswer(BaseModel):
    """A random promoter."""

    id: str
    sequence: str


class LimitsAnswer(BaseModel):
    """Limits of this server."""

    sequence_bases: int
    sequences: int
    changes: int
    designs: int
    body_bytes: int
    job_seconds: float
    jobs_per_client: int
    jobs: int
    queue: int


class Best(BaseModel):
    """The best design so far."""

    sequence: str
    value: float


class JobProgress(BaseModel):
    """Where a job is."""

    step: int
    steps: int | None
    best: Best | None
    history: list[float]


class Design(BaseModel):
    """A designed promoter."""

    rank: int
    id: str
    sequence: str
    expression: dict[str, VariantExpression]
    oracle: float
    judge: dict[str, float]
    gap: float
    edits: int
    start_sequence: str
    constraints_met: bool
    flags: list[str]


class JobResult(BaseModel):
    """The designs of a job."""

    designs: list[Design]
    summary: list[str]
    order_tsv: str


class JobAnswer(BaseModel):
    """State of a job."""

    job: str
    state: Literal["queued", "running", "done", "stopped", "failed"]
    progress: JobProgress
    result: JobResult | None
    error: Problem | None


class HealthAnswer(BaseModel):
    """State of the server."""

    state: Literal["ready", "starting", "restarting"]
    version: str
