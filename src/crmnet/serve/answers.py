"""Requests → answers, in the model process: what the commands of the same names compute.

:class:`Models` holds the opened models and what is worth keeping: the effects of all single
substitutions of a promoter, from which the map, the logo and the contributions of sites come.
Numbers are those of ``crmnet predict``, ``mutate``, ``explain`` and ``motifs scan``. Long
computations call ``pump`` between batches, which lets short requests pass.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from crmnet import sequence
from crmnet.arrays import Floats32, Integers
from crmnet.data.dataset import BIN_UNIT, UNKNOWN_UNIT
from crmnet.design.effects import MutateOptions, Scorer
from crmnet.design.mutate import Mutations, joined, named_blocks, pairs_of
from crmnet.design.oracle import REMEDY, Constructs, Oracle, located
from crmnet.design.variants import edits_of, parse_variant, substitutions
from crmnet.interpretation.attribute import AttributeOptions, attribute, from_mutagenesis
from crmnet.interpretation.inserts import Inserts
from crmnet.motifs.scan import ScanOptions, find_sites
from crmnet.prediction.predictor import Assessed, Predictor
from crmnet.prediction.random_effects import (
    AT_RUN,
    RandomVariants,
    insert_template,
    random_effects,
)
from crmnet.prediction.table import PredictedBlock, table_columns
from crmnet.prediction.views import Views
from crmnet.reports.tables import table_text
from crmnet.runs.model_card import ModelCard, card_lines
from crmnet.sequence import Tokens
from crmnet.serve.examples import EXAMPLES
from crmnet.serve.threads import THREADS, SharedPredictor
from crmnet.statistics.uncertainty import FLAGS, Trust

BATCH = 64
"""Sequences that one thread predicts at a time; then other requests have their turn."""
KEPT = 128
"""Promoters whose effects of substitutions are kept."""
CARD_FIELDS = ("name", "about", "media", "reverse_complement", "storage", "fingerprint", "not_for",
               "notes", "coverage")  # fmt: skip


class BadRequest(ValueError):
    """A request that cannot be computed, and the field with the reason."""

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class Saturated(NamedTuple):
    """Effects of all single substitutions of one promoter."""

    constructs: Constructs
    reference: Floats32
    """``(M,)``."""
    effects: Floats32
    """``(M, 4, L)``, 0 where the base is the reference."""


class Turns(Oracle):
    """An oracle that predicts a batch at a time, with a turn for others in between."""

    def __init__(self, predictor: Predictor, pump: Callable[[], None]) -> None:
        super().__init__(predictor)
        self.pump, self.opened = pump, predictor
        self.done: dict[tuple[int, int], Floats32] = {}

    def views(self, tokens: Tokens, lengths: Integers | None = None) -> Views:
        parts, batch = [], BATCH * THREADS.count
        for first in range(0, len(tokens), batch):
            self.pump()
            parts.append(self.opened.predict_views(tokens[first : first + batch]))
        values = np.concatenate([part.values for part in parts], axis=1)
        return Views(values, parts[0].present)

    @cached_property
    def quantiles(self) -> dict[str, list[float]]:
        """Medium → quantiles of the absolute effects of random substitutions."""
        if (stored := self.stored_quantiles) is not None:
            return stored
        template, inside = insert_template(self.opened.length)
        found = random_effects(self._remembered, template, inside, AT_RUN)
        self.done.clear()
        return dict(zip(self.media, found, strict=True))

    @property
    def has_quantiles(self) -> bool:
        """Whether :attr:`quantiles` takes no time."""
        return "quantiles" in self.__dict__ or self.stored_quantiles is not None

    def _remembered(self, tokens: Tokens) -> Floats32:
        """Predictions that continue where they were interrupted by :attr:`pump`."""
        parts = []
        for first in range(0, len(tokens), BATCH):
            key = len(tokens), first
            if key not in self.done:
                self.done[key] = self.views(tokens[first : first + BATCH]).mean()
            parts.append(self.done[key])
        return np.concatenate(parts)

    def random_quantiles(
        self, like: Constructs | None = None, options: RandomVariants = AT_RUN
    ) -> dict[str, list[float]]:
        return self.quantiles


class Models:
    """Models of the server, by name.

    Args:
        paths: Run folders, packed files or names of bundled models; the first is the default.
        device: As for :meth:`Predictor.load`.
        pump: Called between batches of a long computation.
    """

    def __init__(self, paths: Sequence[str], device: str, pump: Callable[[], None]) -> None:
        self.oracles: dict[str, Turns] = {}
        self.paths: dict[str, str] = {}
        for path in paths:
            predictor = SharedPredictor.load(path, device=device)
            name = str(predictor.name)
            if name in self.oracles:
                raise ValueError(f"two models have the name {name}; give each its own")
            self.oracles[name], self.paths[name] = Turns(predictor, pump), path
        self.default = next(iter(self.oracles))
        self.saturated: OrderedDict[tuple[str, bytes, int, int], Saturated] = OrderedDict()

    def oracle(self, name: str | None) -> tuple[str, Turns]:
        """A model and its name."""
        chosen = name or self.default
        if chosen not in self.oracles:
            known = ", ".join(self.oracles)
            raise BadRequest(f"this server has no model {chosen!r}; it has {known}", "model")
        return chosen, self.oracles[chosen]

    def about(self) -> dict[str, Any]:
        """What ``GET /models`` answers."""
        models = [_about(name, oracle.opened) for name, oracle in self.oracles.items()]
        return {"default": self.default, "models": models}

    def cards(self) -> dict[str, dict[str, Any]]:
        """What ``GET /models/{name}/card`` answers, by name."""
        cards = {}
        for name, oracle in self.oracles.items():
            card = oracle.opened.card
            text = f"{name} is a run folder, which has no card." if card is None else (
                "\n".join(card_lines(card)))  # fmt: skip
            cards[name] = {"name": name, "text": text, "card": _plain(card)}
        return cards

    def warm(self, name: str) -> None:
        """Compute the view of the first example, so that the first promoter of a page is fast.

        The first scan for sites computes the p-values of all motifs.
        """
        body = {"model": name, "sequence": EXAMPLES[0]["sequence"], "flanks": "auto", "id": None,
                "media": None, "threshold": 1e-4, "contributions": True}  # fmt: skip
        first = body["sequence"][0]
        self.mutate(body | {"changes": [f"1{first}>{'A' if first != 'A' else 'C'}"]})
        self.scan(body)

    def prepare(self, oracle: Turns, body: Mapping[str, Any]) -> Constructs:
        """The promoters of a request as the model reads them."""
        promoters, flanks = body["promoters"], body["flanks"]
        texts = [promoter["sequence"] for promoter in promoters]
        ids = [promoter["id"] for promoter in promoters]
        try:
            return _constructs(oracle, texts, ids, flanks)
        except ValueError:
            for number, text in enumerate(texts):
                try:
                    _constructs(oracle, [text], [ids[number]], flanks)
                except ValueError as error:
                    field = body.get("field") or f"promoters[{number}].sequence"
                    raise BadRequest(str(error), field) from error
            raise

    def of_one(self, oracle: Turns, body: Mapping[str, Any]) -> Constructs:
        """The single promoter of a request."""
        one = [{"id": body.get("id") or "promoter", "sequence": body["sequence"]}]
        field = {"promoters": one, "flanks": body["flanks"], "field": "sequence"}
        return self.prepare(oracle, field)

    def saturate(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Effects of all single substitutions of the insert; None at an N, which has none."""
        name, oracle = self.oracle(body["model"])
        found = self._saturated(name, oracle, self.of_one(oracle, body))
        media = _media(oracle, body["media"])
        answer = _insert(found.constructs) | {"model": name, "bases": "ACGT"}
        part = _slice(found.constructs)
        cut = found.effects[:, :, part].astype(object)
        cut[:, :, found.constructs.tokens[0, part] == sequence.N_TOKEN] = None
        index = {medium: oracle.media.index(medium) for medium in media}
        return answer | {
            "media": media,
            "reference": {m: float(found.reference[i]) for m, i in index.items()},
            "effect": {m: cut[i].tolist() for m, i in index.items()},
            "random_effects": (
                {m: _points(oracle.quantiles[m]) for m in media} if oracle.has_quantiles else None
            ),
        }

    def _saturated(self, name: str, oracle: Turns, constructs: Constructs) -> Saturated:
        start, stop = int(constructs.start[0]), int(constructs.stop[0])
        key = (name, constructs.tokens.tobytes(), start, stop)
        if key in self.saturated:
            self.saturated.move_to_end(key)
            return self.saturated[key]._replace(constructs=constructs)
        tokens, inside = constructs.tokens, constructs.inside()
        effects = np.zeros((len(oracle.media), 4, tokens.shape[1]), dtype=np.float32)
        edits = substitutions(tokens, inside)
        reference = oracle.views(tokens)
        if len(edits.row):
            pairs = pairs_of(oracle, constructs, edits)
            delta = oracle.views(pairs.variant).minus(reference.take(pairs.row)).mean()
            position = edits.start[:, 0]
            base = pairs.variant[np.arange(len(position)), position]
            effects[:, base, position] = delta.T
        found = Saturated(constructs, reference.mean()[0], effects)
        self.saturated[key] = found
        while len(self.saturated) > KEPT:
            self.saturated.popitem(last=False)
        return found

    def _explained(self, name: str, oracle: Turns, constructs: Constructs) -> Floats32:
        """Attributions by *ism* of every possible base, ``(M, 4, L)``."""
        found = self._saturated(name, oracle, constructs)
        inserts = Inserts(constructs.start, constructs.stop, constructs.origin)
        values = [
            from_mutagenesis(effects[None], constructs.tokens, inserts).hypothetical
            for effects in found.effects
        ]
        return np.concatenate([value for value in values if value is not None])

    def attribute(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Attributions of the insert, for every possible base."""
        name, oracle = self.oracle(body["model"])
        constructs, method = self.of_one(oracle, body), body["method"]
        media = _media(oracle, body["media"])
        if method == "ism":
            index = [oracle.media.index(medium) for medium in media]
            values = self._explained(name, oracle, constructs)[index]
        else:
            values = np.concatenate([_attributed(oracle, constructs, m, method) for m in media])
        cut = values[:, :, _slice(constructs)]
        return _insert(constructs) | {
            "model": name,
            "method": method,
            "media": media,
            "values": {medium: cut[i].tolist() for i, medium in enumerate(media)},
        }

    def scan(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Sites of yeast factors on the insert, by start."""
        from crmnet.motifs.jaspar import yeast_motifs

        name, oracle = self.oracle(body["model"])
        constructs, motifs = self.of_one(oracle, body), yeast_motifs()
        part = _slice(constructs)
        hits = find_sites(constructs.tokens[:, part], motifs, ScanOptions(body["threshold"]))
        sums = None
        if body["contributions"]:
            values = self._explained(name, oracle, constructs)[:, :, part]
            observed = np.arange(4)[:, None] == constructs.tokens[0, part]
            sums = np.concatenate([[[0.0]] * len(values), (values * observed).sum(1).cumsum(1)], 1)
        sites = []
        for i in np.lexsort((hits.p, hits.start)).tolist():
            first, end, motif = int(hits.start[i]), int(hits.end[i]), motifs[hits.motif[i]]
            sites.append({
                "name": motif.name, "matrix_id": motif.id, "start": first + 1, "end": end,
                "strand": str(hits.strand[i]), "score": float(hits.score[i]),
                "p_value": float(hits.p[i]),
                "contribution": None if sums is None else {
                    medium: float(sums[m, end] - sums[m, first])
                    for m, medium in enumerate(oracle.media)
                },
            })  # fmt: skip
        return _insert(constructs) | {"sites": sites}

    def mutate(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Effects of variants of one promoter; as a table if ``tsv`` is true."""
        name, oracle = self.oracle(body["model"])
        constructs = self.of_one(oracle, body)
        try:
            found = joined(named_blocks(Scorer(oracle, MutateOptions()), constructs,
                                        [body["changes"]]))  # fmt: skip
        except ValueError as error:
            raise BadRequest(str(error), _bad_change(body["changes"])) from error
        if body.get("tsv"):
            return {"text": table_text(found.columns())}
        given, trust = constructs.given_text(0), _trust(oracle, constructs, found)
        return {
            "model": name,
            "media": list(found.media),
            "variants": [_variant(found, row, given, trust) for row in range(len(found))],
        }


def _constructs(
    oracle: Turns, texts: list[str], ids: list[str], flanks: sequence.Flanks
) -> Constructs:
    tokens, _ = sequence.constructs(
        texts, ids, flanks=flanks, length=oracle.opened.length, remedy=REMEDY.partition(",")[0]
    )
    return located(tokens, sequence.given_spans(texts, flanks), ids)


def _media(oracle: Turns, names: Sequence[str] | None) -> list[str]:
    unknown = [name for name in names or [] if name not in oracle.media]
    if unknown:
        known = ", ".join(oracle.media)
        raise BadRequest(f"the model has no medium {unknown[0]!r}; it has {known}", "media")
    return list(dict.fromkeys(names)) if names else list(oracle.media)


def _slice(constructs: Constructs) -> slice:
    return slice(int(constructs.start[0]), int(constructs.stop[0]))


def _insert(constructs: Constructs, row: int = 0) -> dict[str, Any]:
    """The insert of a promoter, and where it lies in the given sequence, from 1."""
    start, stop = int(constructs.start[row]), int(constructs.stop[row])
    (text,) = sequence.decode(constructs.tokens[row : row + 1, start:stop], [stop - start])
    first = start - int(constructs.origin[row]) + 1
    return {"insert": text, "position_of_insert": {"start": first, "length": stop - start}}


def _points(quantiles: Sequence[float]) -> dict[str, float]:
    values = np.interp([0.5, 0.9, 0.99], np.linspace(0, 1, len(quantiles)), quantiles)
    return dict(zip(("p50", "p90", "p99"), values.tolist(), strict=True))


def _attributed(oracle: Turns, constructs: Constructs, medium: str, method: str) -> Floats32:
    """Attributions ``(1, 4, L)`` by another method than *ism*."""
    span = np.stack([constructs.origin, constructs.origin + constructs.given], axis=1)
    oracle.pump()
    try:
        found = attribute(oracle.opened, constructs.tokens, medium=medium, given=span,
                          options=AttributeOptions(method))  # fmt: skip
    except ModuleNotFoundError as error:
        raise BadRequest(str(error), "method") from error
    return found.values if found.hypothetical is None else found.hypothetical


def _bad_change(changes: Sequence[str]) -> str:
    """The field of the first change that is not a variant; all of them if each is one."""
    for number, text in enumerate(changes):
        try:
            parse_variant(text)
        except ValueError:
            return f"changes[{number}]"
    return "changes"


def number(value: Any) -> float | None:
    """A plain number; None for NaN."""
    return None if np.isnan(value) else float(value)


def _trust(oracle: Turns, constructs: Constructs, found: Mutations) -> Trust | None:
    """Intervals of the expression of the variants."""
    changes = [parse_variant(text) for text in found.variants]
    row = np.zeros(len(changes), dtype=np.int64)
    pairs = pairs_of(oracle, constructs, edits_of(changes, row, constructs.origin[row]))
    return oracle.opened.assess_tokens(pairs.variant).trust


def _variant(found: Mutations, row: int, given: str, trust: Trust | None) -> dict[str, Any]:
    effects, text = found.effects, given
    for change in reversed(parse_variant(found.variants[row])):
        text = text[: change.start] + change.new + text[change.stop :]
    expression, delta = {}, {}
    for m, medium in enumerate(found.media):
        expression[medium] = {
            "value": float(effects.variant[row, m]),
            "low": None if trust is None else number(trust.low[row, m]),
            "high": None if trust is None else number(trust.high[row, m]),
        }
        delta[medium] = {
            "value": float(effects.delta[row, m]),
            "low": number(effects.low[row, m]),
            "high": number(effects.high[row, m]),
            "percentile": float(effects.percentile[row, m]),
        }
    return {
        "variant": found.variants[row], "sequence": text, "expression": expression, "delta": delta,
        "sites_gained": _words(effects.gained[row]), "sites_lost": _words(effects.lost[row]),
        "flags": _words(effects.flags[row]),
    }  # fmt: skip


def _words(text: str) -> list[str]:
    return text.split(";") if text else []


def predicted(
    name: str, oracle: Turns, constructs: Constructs, assessed: Assessed
) -> dict[str, Any]:
    """Answer of a prediction."""
    trust, media = assessed.trust, oracle.media
    rows = []
    for row, own in enumerate(constructs.ids):
        estimates = {
            medium: _estimate(assessed, row, m) for m, medium in enumerate(media)
        }  # fmt: skip
        flags = _words(trust.unlike[row]) if trust is not None else []
        rows.append({
            "id": own, **_insert(constructs, row), "expression": estimates,
            "unlike_training": {"flag": bool(flags), "words": " ".join(FLAGS[f] for f in flags)},
            "notes": _notes(constructs, row),
        })  # fmt: skip
    return {"model": name, "media": media, "units": _units(oracle.opened), "rows": rows}


def _estimate(assessed: Assessed, row: int, m: int) -> dict[str, Any]:
    trust = assessed.trust
    percentile = None
    if trust is not None and trust.percentile is not None:
        percentile = number(trust.percentile[row, m])
    return {
        "value": float(assessed.expression[row, m]),
        "low": None if trust is None else number(trust.low[row, m]),
        "high": None if trust is None else number(trust.high[row, m]),
        "percentile": percentile,
        "percentile_words": None if percentile is None else _percentile_words(percentile),
    }


def _percentile_words(percentile: float) -> str:
    share = f"{percentile:.0f}" if 1 <= percentile <= 99 else f"{percentile:.1f}"
    return f"stronger than {share} % of native promoters"


def _notes(constructs: Constructs, row: int) -> list[str]:
    notes = []
    if constructs.origin[row] > 0:
        notes.append("The adapters of the assay were added.")
    unknown = constructs.given_text(row).count("N")
    if unknown:
        notes.append(f"The sequence contains {unknown} unknown bases (N).")
    return notes


def _units(predictor: Predictor) -> dict[str, str]:
    return {medium: predictor.units.get(medium, UNKNOWN_UNIT) for medium in predictor.media}


def prediction_table(oracle: Turns, constructs: Constructs, assessed: Assessed) -> dict[str, str]:
    """The table of ``crmnet predict``, with all digits."""
    block = PredictedBlock(
        constructs.ids, assessed.expression, sequence.Preparation(), assessed.trust
    )
    return {"text": table_text(dict(table_columns(oracle.opened, block, oracle.media)))}


def _about(name: str, predictor: Predictor) -> dict[str, Any]:
    card = predictor.card
    native = {} if card is None or card.calibration is None else card.calibration.native
    media = []
    for medium, unit in _units(predictor).items():
        ends = native.get(medium, [0.0, 1.0])
        low, high = (0.0, float(sequence.TOP_BIN)) if unit == BIN_UNIT else (ends[0], ends[-1])
        media.append({"name": medium, "unit": unit, "low": low, "high": high})
    return {
        "name": name, "about": "" if card is None else card.about, "media": media,
        "parameters": sum(value.numel() for value in predictor.model.parameters()),
        "length": predictor.length, "card": _plain(card),
    }  # fmt: skip


def _plain(card: ModelCard | None) -> dict[str, Any] | None:
    """What a page shows of a card: no training records, no tables of the calibration."""
    if card is None:
        return None
    content = card.model_dump(mode="json", include=set(CARD_FIELDS))
    content["units"] = card.units
    content["members"] = [record.settings.model.name for record in card.members]
    keys = ("n", "families", "pearson", "spearman", "mae", "trained_on", "trained_on_about")
    content["tests"] = {
        name: {key: test[key] for key in keys if key in test} for name, test in card.tests.items()
    }
    if card.calibration is not None:
        content["interval_level"] = card.calibration.level
        content["native"] = card.calibration.native_data
    return content
