"""The model process: reads requests from the server, batches them, and answers.

Predictions of all waiting requests to one model form batches; each request gets an equal share of a
batch, so a large request does not delay a small one. Other requests are answered in order; between
their batches waiting predictions have their turn.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from crmnet.design.oracle import Constructs
from crmnet.prediction.predictor import Assessed
from crmnet.process import start_fast
from crmnet.runs.packed import bundled
from crmnet.serve.answers import (
    BATCH,
    BadRequest,
    Models,
    Turns,
    predicted,
    prediction_table,
)
from crmnet.serve.pipe import Pipe
from crmnet.serve.threads import THREADS
from crmnet.statistics.uncertainty import Trust, joined

log = logging.getLogger("crmnet")


class CancelledError(Exception):
    """The client of the request that is being answered has gone."""


@dataclass
class Predicting:
    """A request for predictions, some of which are done."""

    number: int
    name: str
    oracle: Turns
    constructs: Constructs
    form: str
    """``rows``, ``table`` or ``values``."""
    done: int = 0
    parts: list[Assessed] = field(default_factory=list)

    @property
    def left(self) -> int:
        """Promoters that are not predicted yet."""
        return len(self.constructs.ids) - self.done

    def answer(self) -> dict[str, Any]:
        """The answer, when nothing is left."""
        expression = np.concatenate([part.expression for part in self.parts])
        found = Assessed(expression, joined([part.trust for part in self.parts]))
        if self.form == "table":
            return prediction_table(self.oracle, self.constructs, found)
        if self.form == "values":
            values = dict(zip(self.oracle.media, expression.T.tolist(), strict=True))
            return {"ids": self.constructs.ids, "values": values}
        return predicted(self.name, self.oracle, self.constructs, found)


class Worker:
    """Answers requests of a server.

    Args:
        pipe: Messages from and to the server.
        settings: Paths of the models (``models``), ``device``, and the largest ``batch``.
    """

    def __init__(self, pipe: Pipe, settings: Mapping[str, Any]) -> None:
        self.pipe, self.batch = pipe, settings.get("batch") or BATCH
        self.predicting: list[Predicting] = []
        self.others: list[dict[str, Any]] = []
        self.cancelled: set[int] = set()
        self.current: int | None = None
        self.idle = False
        self.models = Models(settings["models"], settings["device"], self.pump)
        self.cold = list(self.models.oracles)
        """Models whose first view is not prepared yet."""

    def run(self) -> None:
        """Answer requests until the server ends."""
        while True:
            if not (self.predicting or self.others) and not self.prepare_ahead():
                self.take(self.pipe.receive())
            self.pump()
            if self.others:
                self.answer(self.others.pop(0))

    def prepare_ahead(self) -> bool:
        """Compute what a later request needs, until a request arrives; False if nothing is left."""
        if self.cold:
            self.spare(partial(self.models.warm, self.cold.pop(0)))
            return True
        oracle = next((o for o in self.models.oracles.values() if not o.has_quantiles), None)
        if oracle is None:
            return False
        self.spare(lambda: oracle.quantiles)
        return True

    def spare(self, function: Callable[[], Any]) -> None:
        """Call a function that ends early if a request arrives."""
        self.idle = True
        with contextlib.suppress(CancelledError):
            function()
        self.idle = False

    def take(self, message: dict[str, Any]) -> None:
        """Accept a message: a request, or that the client of one has gone."""
        if (gone := message.get("cancel")) is not None:
            self.predicting = [one for one in self.predicting if one.number != gone]
            self.others = [one for one in self.others if one["id"] != gone]
            if gone == self.current:
                self.cancelled.add(gone)
        elif message["kind"] in ("predict", "values"):
            self.guarded(message, self.accept)
        else:
            self.others.append(message)

    def accept(self, message: dict[str, Any]) -> None:
        """Add a request for predictions to those that wait."""
        body = message["body"]
        name, oracle = self.models.oracle(body["model"])
        constructs = self.models.prepare(oracle, body)
        form = "values" if message["kind"] == "values" else "table" if body["tsv"] else "rows"
        waiting = Predicting(message["id"], name, oracle, constructs, form)
        self.predicting.append(waiting)

    def guarded(self, message: Mapping[str, Any], function: Any) -> None:
        """Call a function with a message; an error becomes its answer."""
        try:
            function(message)
        except CancelledError:
            pass
        except BadRequest as error:
            self.refuse(message["id"], "invalid", str(error), error.field)
        except ValueError as error:
            self.refuse(message["id"], "invalid", str(error))
        except Exception as error:
            log.exception("a request failed")
            self.refuse(message["id"], "failed", f"the server failed: {type(error).__name__}")

    def refuse(self, number: int, code: str, text: str, place: str | None = None) -> None:
        """Answer that a request cannot be computed."""
        error = {"code": code, "message": text, "field": place}
        self.pipe.send({"id": number, "error": error})

    def pump(self) -> None:
        """Take what has arrived, and predict one batch."""
        for message in self.pipe.waiting():
            self.take(message)
        if self.predicting:
            self.predict()
        if self.current in self.cancelled or (self.idle and self.others):
            raise CancelledError

    def predict(self) -> None:
        """Predict a batch of the waiting requests to the model of the first."""
        oracle = self.predicting[0].oracle
        group = [one for one in self.predicting if one.oracle is oracle]
        rows = shares([one.left for one in group], self.batch)
        chosen = [(one, many) for one, many in zip(group, rows, strict=True) if many]
        try:
            self.predict_rows(oracle, chosen)
        except Exception:
            if len(chosen) > 1:  # one request must not fail another
                for one, many in chosen:
                    self.guarded({"id": one.number}, lambda _, c=(one, many): self.alone(oracle, c))
                return
            self.guarded({"id": chosen[0][0].number}, lambda _: self.alone(oracle, chosen[0]))

    def alone(self, oracle: Turns, chosen: tuple[Predicting, int]) -> None:
        """Predict rows of one request, which is removed if that fails."""
        try:
            self.predict_rows(oracle, [chosen])
        except Exception:
            self.predicting.remove(chosen[0])
            raise

    def predict_rows(self, oracle: Turns, chosen: Sequence[tuple[Predicting, int]]) -> None:
        """Predict some rows of each of these requests, and answer those that are complete."""
        tokens = [one.constructs.tokens[one.done : one.done + many] for one, many in chosen]
        found = oracle.opened.assess_tokens(np.concatenate(tokens))
        first = 0
        for one, many in chosen:
            one.parts.append(_rows(found, slice(first, first + many)))
            one.done, first = one.done + many, first + many
            if not one.left:
                self.predicting.remove(one)
                self.guarded({"id": one.number}, lambda _, one=one: self.reply(one))

    def reply(self, one: Predicting) -> None:
        """Send the answer of a complete prediction."""
        self.pipe.send({"id": one.number, "ok": one.answer()})

    def answer(self, message: dict[str, Any]) -> None:
        """Answer a request of another kind."""
        functions = {"saturate": self.models.saturate, "attribute": self.models.attribute,
                     "scan": self.models.scan, "mutate": self.models.mutate}  # fmt: skip

        def compute(message: dict[str, Any]) -> None:
            found = functions[message["kind"]](message["body"])
            self.pipe.send({"id": message["id"], "ok": found})

        self.current = message["id"]
        self.guarded(message, compute)
        self.current = None
        self.cancelled.clear()


def shares(sizes: Sequence[int], total: int) -> list[int]:
    """How many of ``total`` rows each request gets: equal shares, and what others leave."""
    given = [0] * len(sizes)
    while total:
        open_ = [i for i, size in enumerate(sizes) if given[i] < size][:total]
        if not open_:
            break
        share = max(1, total // len(open_))
        for i in open_:
            more = min(share, sizes[i] - given[i])
            given[i], total = given[i] + more, total - more
    return given


def _rows(found: Assessed, rows: slice) -> Assessed:
    trust = found.trust
    if trust is not None:
        percentile = None if trust.percentile is None else trust.percentile[rows]
        trust = Trust(trust.low[rows], trust.high[rows], percentile, trust.unlike[rows])
    return Assessed(found.expression[rows], trust)


def main() -> None:
    """Load the models, say so, and answer."""
    start_fast()
    THREADS.start()
    pipe = Pipe()
    settings = pipe.receive()
    try:
        worker = Worker(pipe, settings)
    except (ValueError, OSError) as error:
        pipe.send({"event": "failed", "message": str(error)})
        return
    models = worker.models
    pipe.send({"event": "ready", "about": models.about(), "cards": models.cards(),
               "paths": models.paths, "bundled": list(bundled())})  # fmt: skip
    worker.run()


if __name__ == "__main__":
    main()
