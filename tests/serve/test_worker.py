"""The model process batches requests, gives each its turn, and lets none fail another."""

import queue

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crmnet.serve.examples import EXAMPLES
from crmnet.serve.frames import packed, read_message
from crmnet.serve.worker import Worker, shares
from serving import HIS3, TDH3
from support import quick


class FakePipe:
    """Messages that a test puts in and reads."""

    def __init__(self):
        self.incoming, self.sent = queue.SimpleQueue(), []

    def waiting(self):
        found = []
        while not self.incoming.empty():
            found.append(self.incoming.get())
        return found

    def receive(self):
        return self.incoming.get()

    def send(self, message):
        self.sent.append(message)

    @property
    def answered(self):
        return [message["id"] for message in self.sent]


@pytest.fixture
def worker():
    return Worker(FakePipe(), {"models": ["yeast-fast"], "device": "cpu"})


def ask(worker, number, *texts, kind="predict", **more):
    body = {"promoters": [{"id": f"p{i}", "sequence": text} for i, text in enumerate(texts)],
            "model": None, "flanks": "auto", "tsv": False, **more}  # fmt: skip
    worker.pipe.incoming.put({"id": number, "kind": kind, "body": body})


def values(message):
    return [row["expression"]["complex"]["value"] for row in message["ok"]["rows"]]


def test_requests_that_wait_are_one_batch(worker, monkeypatch):
    oracle, sizes = worker.models.oracles["yeast-fast"], []
    assess = type(oracle.opened).assess_tokens

    def counted(self, tokens):
        sizes.append(len(tokens))
        return assess(self, tokens)

    monkeypatch.setattr(type(oracle.opened), "assess_tokens", counted)
    for number in range(5):
        ask(worker, number, HIS3, TDH3)
    worker.pump()
    assert sizes == [10] and worker.pipe.answered == [0, 1, 2, 3, 4]
    expected = assess(oracle.opened, oracle.opened.prepare([HIS3, TDH3])).expression[:, 0]
    for message in worker.pipe.sent:
        np.testing.assert_allclose(values(message), expected, atol=1e-5)


def test_a_small_request_does_not_wait_for_a_large_one(worker):
    ask(worker, 1, *[TDH3] * 200)
    worker.pump()
    ask(worker, 2, HIS3)
    worker.pump()
    assert worker.pipe.answered == [2]
    while worker.predicting:
        worker.pump()
    assert worker.pipe.answered == [2, 1]
    assert len(values(worker.pipe.sent[1])) == 200


def test_a_bad_request_does_not_fail_others(worker):
    ask(worker, 1, HIS3)
    ask(worker, 2, "ACGX")
    ask(worker, 3, TDH3)
    worker.pump()
    found = {message["id"]: message for message in worker.pipe.sent}
    assert found[2]["error"]["field"] == "promoters[0].sequence"
    assert "ok" in found[1] and "ok" in found[3]


def test_a_failure_of_a_batch_fails_only_its_request(worker, monkeypatch):
    predictor = worker.models.oracles["yeast-fast"].opened
    assess = type(predictor).assess_tokens
    poison = predictor.prepare(["A" * 80])[0]

    def failing(self, tokens):
        if (tokens == poison).all(axis=1).any():
            raise RuntimeError("overflow")
        return assess(self, tokens)

    monkeypatch.setattr(type(predictor), "assess_tokens", failing)
    ask(worker, 1, HIS3)
    ask(worker, 2, "A" * 80)
    ask(worker, 3, TDH3)
    worker.pump()
    found = {message["id"]: message for message in worker.pipe.sent}
    assert found[2]["error"]["code"] == "failed" and "ok" in found[1] and "ok" in found[3]
    assert not worker.predicting


def test_a_cancelled_request_is_not_answered(worker):
    ask(worker, 1, *[TDH3] * 200)
    ask(worker, 2, HIS3)
    worker.pipe.incoming.put({"cancel": 1})
    worker.pump()
    assert worker.pipe.answered == [2] and not worker.predicting


def test_predictions_have_their_turn_during_a_map(worker):
    ask(worker, 1, TDH3)
    body = {"sequence": HIS3, "model": None, "flanks": "auto", "media": None}
    worker.answer({"id": 2, "kind": "saturate", "body": body})
    assert worker.pipe.answered == [1, 2]


def test_a_map_whose_client_has_gone_stops(worker):
    worker.pipe.incoming.put({"cancel": 7})
    body = {"sequence": HIS3, "model": None, "flanks": "auto", "media": None}
    worker.answer({"id": 7, "kind": "saturate", "body": body})
    assert worker.pipe.sent == [] and worker.current is None
    worker.answer({"id": 8, "kind": "saturate", "body": body})
    assert worker.pipe.answered == [8]


def test_work_ahead_continues_after_a_request(worker):
    oracle = worker.models.oracles["yeast-fast"]
    body = {"sequence": HIS3, "model": None, "flanks": "auto", "media": None}
    oracle.opened.card = oracle.opened.card.model_copy(update={"differences": None})
    worker.cold.clear()
    worker.pipe.incoming.put({"id": 1, "kind": "saturate", "body": body})
    assert worker.prepare_ahead() and not oracle.has_quantiles
    worker.answer(worker.others.pop())
    assert worker.pipe.sent[-1]["ok"]["random_effects"] is None
    assert worker.prepare_ahead() and oracle.has_quantiles
    assert not worker.prepare_ahead()


def test_a_card_without_the_quantiles_of_a_medium_leaves_them_to_be_computed(worker):
    oracle = worker.models.oracles["yeast-fast"]
    assert oracle.has_quantiles
    card = oracle.opened.card
    (first, *_) = random = dict(card.differences.random)
    del random[first]
    differences = card.differences.model_copy(update={"random": random})
    oracle.opened.card = card.model_copy(update={"differences": differences})
    assert not oracle.has_quantiles


def test_the_view_of_the_first_example_is_prepared_ahead(worker, monkeypatch):
    name = "yeast-fast"
    assert worker.prepare_ahead() and worker.cold == []
    assert [key[0] for key in worker.models.saturated] == [name]
    oracle = worker.models.oracles[name]
    monkeypatch.setattr(type(oracle), "views", None)  # a map that is known needs no prediction
    body = {"sequence": EXAMPLES[0]["sequence"], "model": None, "flanks": "auto", "media": None}
    worker.answer({"id": 1, "kind": "saturate", "body": body})
    assert "ok" in worker.pipe.sent[-1]
    assert not worker.prepare_ahead()


@quick
@given(st.lists(st.integers(0, 300), max_size=20), st.integers(1, 100))
def test_shares_are_fair(sizes, total):
    given_rows = shares(sizes, total)
    assert sum(given_rows) == min(total, sum(sizes))
    assert all(0 <= many <= size for many, size in zip(given_rows, sizes, strict=True))
    unfinished = [m for m, size in zip(given_rows, sizes, strict=True) if m < size]
    assert not unfinished or max(given_rows) - min(unfinished) <= max(1, total)
    even = total // max(1, sum(size > 0 for size in sizes))
    assert all(many >= min(size, even) for many, size in zip(given_rows, sizes, strict=True))


@quick
@given(st.recursive(
    st.none() | st.booleans() | st.integers(-2**60, 2**60) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=10,
))  # fmt: skip
def test_messages_survive(content):
    import io

    stream = io.BytesIO(packed(content) + packed(1))
    assert read_message(stream) == content
    assert read_message(stream) == 1
    assert read_message(stream) is None
    assert read_message(io.BytesIO(packed(content)[:-1])) is None
