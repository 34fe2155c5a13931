"""A running server: answers, limits, hostile clients, designs, GAME, a killed process, Ctrl-C."""

import hashlib
import json
import os
import re
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgpack
import numpy as np
import pytest
import requests

from crmnet.serve import app
from crmnet.serve.safety import POLICY
from serving import FAST, HIS3, TDH3, events, read_all, running
from support import write_rows

pytestmark = pytest.mark.slow

JSON = {"Content-Type": "application/json"}
GAME = {
    "readout": "point",
    "prediction_tasks": [{"name": "t", "type": "expression", "cell_type": "YPD",
                          "species": "saccharomyces_cerevisiae"}],
    "sequences": {"HIS3": HIS3, "TDH3": TDH3},
}  # fmt: skip


def error_of(response, status):
    assert response.status_code == status, response.text
    error = response.json()["error"]
    assert set(error) == {"code", "message", "limit", "field"}
    return error


def design(live, **more):
    goal = {"kind": "maximise", "medium": "complex"}
    start = {"kind": "sequence", "sequence": TDH3}
    body = {"goal": goal, "start": start, "n": 2, "max_edits": 3, "steps": 3, **FAST, **more}
    return live.post("design", {key: value for key, value in body.items() if value is not ...})


def test_each_answer_has_the_form_of_its_schema(live):
    from crmnet.serve import schemas

    body = {"sequence": TDH3}
    answers = {
        "PredictAnswer": live.predict(TDH3),
        "SaturateAnswer": live.post("saturate", body),
        "AttributeAnswer": live.post("attribute", body),
        "ScanAnswer": live.post("scan", body),
        "MutateAnswer": live.post("mutate", body | {"changes": ["35T>G"]}),
        "ModelsAnswer": live.get("models"),
        "CardAnswer": live.get("models/yeast-fast/card"),
        "ExamplesAnswer": live.get("examples"),
        "RandomAnswer": live.get("examples/random?seed=7"),
        "LimitsAnswer": live.get("limits"),
        "HealthAnswer": live.get("health"),
    }
    for name, response in answers.items():
        assert response.status_code == 200, (name, response.text)
        model = getattr(schemas, name)
        model.model_validate_json(response.text)
        assert set(response.json()) == set(model.model_fields), name
        assert response.headers["content-security-policy"] == POLICY


def test_the_examples_can_be_predicted(live):
    examples = live.get("examples").json()["promoters"]
    assert len(examples) == 3
    rows = live.predict(*(example["sequence"] for example in examples)).json()["rows"]
    assert [row["position_of_insert"]["length"] for row in rows] == [80] * 3
    one, same, other = (live.get(f"examples/random?seed={n}").json()["sequence"] for n in (1, 1, 2))
    assert one == same != other and set(one) <= set("ACGT") and len(one) == 80


def test_tables_on_request(live):
    headers = {"Accept": "text/tab-separated-values"}
    body = {"promoters": [{"id": "a\tb", "sequence": TDH3}]}
    response = live.post("batch", body, headers=headers)
    assert response.headers["content-type"].startswith("text/tab-separated-values")
    head, row = response.text.splitlines()
    assert head.startswith("id\texpression_complex\t") and row.startswith('"a\tb"\t')
    body = {"sequence": TDH3, "changes": ["35T>G", "12_14del"]}
    head, *rows = live.post("mutate", body, headers=headers).text.splitlines()
    assert head.startswith("id\tvariant\tcontext\t") and len(rows) == 2
    heads = {"saturate": "variant\tposition\tfrom\tto\tdelta_complex\t",
             "attribute": "position\tbase\tattribution_complex\t",
             "scan": "name\tmatrix_id\tstart\tend\tstrand\t"}  # fmt: skip
    for path, head in heads.items():
        response = live.post(path, {"sequence": TDH3}, headers=headers)
        assert response.headers["content-type"].startswith("text/tab-separated-values")
        assert response.text.startswith(head)


def test_the_page_and_the_page_of_the_api(live):
    page = requests.get(live.url)
    assert page.status_code == 200 and page.headers["content-security-policy"] == POLICY
    documentation = live.get("docs")
    for path in re.findall(r'(?:src|href)="(/[^"]+)"', documentation.text):
        assert requests.get(live.url + path[1:]).status_code == 200
    assert not re.search(r"<script>|\son\w+=|style=|https?://", documentation.text)


def test_vendored_files_are_unchanged():
    folder = app.STATIC / "vendor"
    rows = re.findall(r"^\| (\S+) \| .* \| (\S+) \| ([0-9a-f]{64}) \|$",
                      (folder / "README.md").read_text(), re.MULTILINE)  # fmt: skip
    listed = {f"{place}/{file}": digest for place, file, digest in rows}
    found = {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
             for path in folder.rglob("*.*") if path.name != "README.md"}  # fmt: skip
    assert found.items() <= listed.items()
    assert all((folder / name).is_file() for name in listed)


@pytest.mark.parametrize(
    "path", ["static/../app.py", "static/%2e%2e/app.py", "static/..%2fapp.py", "static//etc/passwd"]
)
def test_no_file_outside_the_page_is_served(live, path):
    answer = live.raw(
        f"GET /{path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
    )
    assert answer.startswith(b"HTTP/1.1 404")


def test_a_model_is_not_a_path(live):
    for name in ("/etc/passwd", "../yeast", "yeast-measured"):
        error = error_of(
            live.post("predict", {"model": name, "promoters": [{"sequence": HIS3}]}), 422
        )
        assert error["field"] == "model" and "yeast-fast" in error["message"]
    assert error_of(live.get("models/..%2f..%2fetc/card"), 404)
    assert error_of(design(live, oracle="/etc/passwd"), 422)["field"] == "oracle"


@pytest.mark.parametrize(
    ("path", "body", "status", "limit", "field"),
    [
        ("predict", {"promoters": [{"sequence": "A" * 1001}]}, 422, 1000, "promoters[0].sequence"),
        ("predict", {"promoters": [{"sequence": "A"}] * 1001}, 422, 1000, "promoters"),
        ("saturate", {"sequence": "A" * 1001}, 422, 1000, "sequence"),
        ("mutate", {"sequence": HIS3, "changes": ["1T>A"] * 1001}, 422, 1000, "changes"),
        ("predict", {"promoters": [{"sequence": "A" * (1 << 20)}]}, 413, 1 << 20, None),
    ],
)
def test_limits_of_requests(live, path, body, status, limit, field):
    error = error_of(live.post(path, body), status)
    assert (error["limit"], error["field"]) == (limit, field)
    assert f"{limit:,}" in error["message"]


def test_limits_of_designs(live):
    assert error_of(design(live, n=101), 422)["limit"] == 100
    assert error_of(design(live, seconds=601), 422)["limit"] == 600
    assert error_of(design(live, start={"kind": "random"}), 422)["field"] == "max_edits"
    goal = {"kind": "target", "medium": "complex"}
    assert error_of(design(live, goal=goal), 422)["field"] == "goal.value"
    goal = {"kind": "separate", "medium": "complex"}
    assert error_of(design(live, goal=goal), 422)["field"] == "goal.minus_medium"
    assert error_of(design(live, gc_low=0.6, gc_high=0.4), 422)["field"] == "gc_low"
    assert error_of(design(live, n="many"), 422)["field"] == "n"


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"\xff\xfe\x00", b"[" * 100_000, b'{"a":' * 50_000, b"9" * 6000, b"nonsense",
     b'{"promoters": [{"sequence": "\\ud800"}]}', b'{"promoters": NaN}', b"null", b"[]",
     b'{"promoters": [], "' + b"m" * 9000 + b'": 1}', b'{"promoters": [{"sequence": ["A"]}]}'],
    ids=lambda body: body[:12],
)  # fmt: skip
def test_malformed_json_is_a_clear_error(live, body):
    response = requests.post(f"{live.api}/predict", data=body, headers=JSON, timeout=30)
    assert response.status_code in (400, 422)
    error = error_of(response, response.status_code)
    assert len(error["message"]) < 300 and "Traceback" not in response.text


def test_nonsense_that_is_not_http(live):
    assert live.raw(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03").startswith(b"HTTP/1.1 400")
    assert live.raw(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n").startswith(b"HTTP/1.1 400")
    large = b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 200_000
    answer = live.raw(large)  # a reset connection can lose the answer
    assert answer == b"" or answer.startswith(b"HTTP/1.1 400")
    assert live.get("health").status_code == 200


def test_another_host_and_another_page_are_refused(live):
    assert error_of(live.get("health", headers={"Host": "evil.example"}), 400)["code"] == "host"
    body = {"promoters": [{"sequence": HIS3}]}
    headers = {"Origin": "https://evil.example"}
    assert error_of(live.post("predict", body, headers=headers), 403)["code"] == "origin"
    headers = {"Origin": live.url.rstrip("/")}
    assert live.post("predict", body, headers=headers).status_code == 200
    assert "access-control-allow-origin" not in live.get("health").headers


def test_a_slow_body_is_given_up(live):
    head = (f"POST /api/v1/predict HTTP/1.1\r\nHost: localhost:{live.port}\r\n"
            "Content-Type: application/json\r\nContent-Length: 50\r\n\r\n")  # fmt: skip
    with live.connect() as connection:
        connection.sendall(head.encode() + b"{")
        begin = time.monotonic()
        answer = read_all(connection, 20)
    assert answer.startswith(b"HTTP/1.1 408") and b"2 seconds" in answer
    assert 1 < time.monotonic() - begin < 10


def test_200_clients_at_a_time_get_their_answers(live):
    texts = [HIS3[:k] + "ACGT"[k % 4] + HIS3[k + 1 :] for k in range(80)]
    expected = {row["insert"]: row["expression"]["complex"]["value"]
                for row in live.predict(*texts).json()["rows"]}  # fmt: skip

    def ask(number):
        return live.predict(texts[number % 80])

    with ThreadPoolExecutor(200) as pool:
        answers = list(pool.map(ask, range(200)))
    assert {answer.status_code for answer in answers} == {200}
    for number, answer in enumerate(answers):
        value = answer.json()["rows"][0]["expression"]["complex"]["value"]
        assert value == pytest.approx(expected[texts[number % 80]], abs=1e-5)


def test_clients_that_leave_do_no_harm(live):
    body = json.dumps({"promoters": [{"sequence": TDH3}] * 1000}).encode()
    head = (f"POST /api/v1/predict HTTP/1.1\r\nHost: localhost:{live.port}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n")  # fmt: skip
    for _ in range(20):
        with live.connect() as connection:
            connection.sendall(head.encode() + body)
    for cut in (0, 40, 100):
        with live.connect() as connection:
            connection.sendall((head.encode() + body)[:cut])
    begin = time.monotonic()
    assert live.predict(HIS3).status_code == 200
    assert time.monotonic() - begin < 10  # the 20,000 promoters are not predicted
    assert not [line for line in live.errors if "Traceback" in line]


def test_a_design_from_start_to_files(live):
    response = design(live)
    assert response.status_code == 202
    job = response.json()["job"]
    assert response.headers["location"] == f"/api/v1/jobs/{job}"
    found = list(events(live, job))
    kinds = [kind for kind, _ in found]
    assert kinds[-1] == "done" and set(kinds[:-1]) == {"progress"}
    last = found[-1][1]
    assert last == live.get(f"jobs/{job}").json() and last["state"] == "done"
    best = last["progress"]["best"]
    first = last["result"]["designs"][0]
    assert (
        best["value"] == pytest.approx(first["oracle"], abs=1e-4) == last["progress"]["history"][-1]
    )
    assert sum(a != b for a, b in zip(first["sequence"], TDH3, strict=True)) == first["edits"] <= 3
    predicted = live.predict(first["sequence"]).json()["rows"][0]["expression"]
    for medium, estimate in first["expression"].items():
        assert estimate["value"] == pytest.approx(predicted[medium]["value"], abs=1e-4)
        assert first["judge"][medium] == pytest.approx(predicted[medium]["value"], abs=1e-4)
    assert live.get(f"jobs/{job}/order.tsv").text == last["result"]["order_tsv"]
    head, *rows = live.get(f"jobs/{job}/designs.tsv").text.splitlines()
    assert head.startswith("rank\tid\tsequence\t") and len(rows) == len(last["result"]["designs"])
    fasta = live.get(f"jobs/{job}/designs.fasta")
    assert fasta.text.startswith(f">design_01\n{first['sequence']}\n")
    assert "attachment" in fasta.headers["content-disposition"]
    assert error_of(live.get(f"jobs/{job}/passwd"), 422)
    assert error_of(live.get("jobs/nonsense"), 404)


def test_a_stopped_design_keeps_its_best(live):
    job = design(live, method="annealing", steps=10_000, max_edits=...).json()["job"]
    waiting = design(live).json()["job"]
    assert error_of(design(live), 429)["limit"] == 2
    for kind, data in events(live, job):
        if kind == "progress" and data["progress"]["step"] >= 2:
            requests.delete(f"{live.api}/jobs/{waiting}", timeout=30)
            requests.delete(f"{live.api}/jobs/{job}", timeout=30)
    assert (kind, data["state"]) == ("done", "stopped")
    assert data["result"]["designs"]
    state = live.get(f"jobs/{waiting}").json()
    assert (state["state"], state["result"]) == ("stopped", None)
    assert error_of(live.get(f"jobs/{waiting}/order.tsv"), 404)


def test_a_design_with_an_unknown_enzyme_fails_with_its_name(live):
    job = design(live, avoid_enzymes=["EcoRX"]).json()["job"]
    kind, data = list(events(live, job))[-1]
    assert (kind, data["state"]) == ("failed", "failed") and "EcoRX" in data["error"]["message"]


def test_a_search_ends_in_time(live):
    job = design(live, method="annealing", steps=10_000, max_edits=..., seconds=0.5).json()["job"]
    _, data = list(events(live, job))[-1]
    assert data["state"] == "stopped" and data["result"]["designs"]


def test_game_in_both_formats(live):
    url = f"{live.url}predict"
    plain = requests.post(url, json=GAME, timeout=60)
    packed = requests.post(
        url, data=msgpack.packb(GAME), timeout=60,
        headers={"Content-Type": "application/msgpack", "Accept": "application/msgpack"},
    )  # fmt: skip
    assert packed.headers["content-type"] == "application/msgpack"
    assert msgpack.unpackb(packed.content, raw=False) == plain.json()
    assert next(iter(plain.json())) == "predictor_name"
    found = plain.json()["prediction_tasks"][0]["predictions"]
    rows = live.predict(HIS3, TDH3).json()["rows"]
    for name, row in zip(("HIS3", "TDH3"), rows, strict=True):
        assert found[name] == [pytest.approx(row["expression"]["complex"]["value"], abs=1e-5)]
    assert requests.post(url, data=json.dumps(GAME), timeout=60).status_code == 200  # no type


def test_game_describes_itself(live):
    formats = requests.get(f"{live.url}formats", timeout=30).json()
    assert formats["predictor_supported_request_formats"] == [
        "application/json", "application/msgpack",
    ]  # fmt: skip
    about = requests.get(f"{live.url}help", timeout=30).json()
    assert next(iter(formats)) == next(iter(about)) == "predictor_name"
    assert about["game_schema_version"] == "1.0"


@pytest.mark.parametrize(
    ("changed", "status", "key"),
    [({"readout": "area"}, 400, "bad_prediction_request"),
     ({"sequences": {"s": "ACGZ"}}, 422, "prediction_request_failed"),
     ({"sequences": {"s": "A" * 150}}, 422, "prediction_request_failed")],
)  # fmt: skip
def test_errors_of_game_are_json(live, changed, status, key):
    response = requests.post(
        f"{live.url}predict", data=msgpack.packb(GAME | changed), timeout=60,
        headers={"Content-Type": "application/msgpack", "Accept": "application/msgpack"},
    )  # fmt: skip
    assert response.status_code == status
    assert next(iter(response.json())) == "predictor_name"
    assert list(response.json()["error"][0]) == [key]


def test_the_evaluator_scores_the_server_like_the_model(live, crmnet, tmp_path):
    rng = np.random.default_rng(0)
    rows = [("".join(rng.choice(list("ACGT"), 80)), rng.uniform(2, 15), medium)
            for medium in ("complex", "defined") for _ in range(30)]  # fmt: skip
    file = write_rows(tmp_path / "rows.tsv", rows, "sequence expression medium")
    options = ["-o", tmp_path / "game", "--resamples", 20]
    status, out, _ = crmnet("evaluate", "--game", live.url, file, *options)
    assert status == 0 and "predictor: crmnet_yeast-fast_dev" in out
    assert "rows:complex: forward and reverse complement (n 30): r " in out
    options = ["-o", tmp_path / "own", "--resamples", 20]
    assert crmnet("evaluate", "yeast-fast", file, *options)[0] == 0
    game, own = (
        json.loads((tmp_path / name / "metrics.json").read_text()) for name in ("game", "own")
    )
    assert set(game["sets"]) == set(own["sets"]) == {"rows:complex", "rows:defined"}
    for name, metrics in own["sets"].items():
        for metric in ("pearson", "spearman", "r2", "mse", "mae"):
            value = game["sets"][name][metric]["value"]
            assert value == pytest.approx(metrics[metric]["value"], abs=1e-5, rel=1e-5)
    agreement = game["consistency"]["rows:complex"]
    assert agreement["n"] == 30 and 0 < agreement["pearson"]["value"] < 1
    table = (tmp_path / "game" / "evaluation_summary_crmnet.csv").read_text().splitlines()
    head, *lines = (line.split("\t") for line in table)
    assert head[:2] == ["evaluator_name", "description"] and len(head) == 7
    found = {(line[1].rpartition(": ")[0], line[4]): float(line[5]) for line in lines}
    for name in own["sets"]:
        assert found[name, "pearson"] == game["sets"][name]["pearson"]["value"]
        difference = game["consistency"][name]["mae"]["value"]
        assert found[name, "reverse_complement_mae"] == difference


def test_a_killed_model_process_is_restarted():
    with running() as server:
        first = server.model_process()
        with ThreadPoolExecutor(2) as pool:
            slow = pool.submit(server.predict, *[TDH3] * 1000)
            time.sleep(0.3)
            os.kill(first, signal.SIGKILL)
            error = error_of(slow.result(), 503)
        assert error["code"] == "restarting" and slow.result().headers["retry-after"]
        server.until_ready()
        assert server.model_process() not in (None, first)
        assert server.predict(HIS3).status_code == 200
        status, seconds = server.stop()
        assert status == 0 and seconds < 2


def test_ctrl_c_ends_a_busy_server_within_two_seconds():
    with running() as server, ThreadPoolExecutor(3) as pool:
        job = design(server, method="annealing", steps=10_000, max_edits=...).json()["job"]
        stream = pool.submit(lambda: list(events(server, job)))
        busy = pool.submit(server.predict, *[TDH3] * 1000)
        idle = server.connect()
        time.sleep(0.5)
        children = server.children()
        status, seconds = server.stop()
        assert status == 0 and seconds < 2, server.errors
        assert len(children) == 2
        assert not any(Path(f"/proc/{number}").exists() for number in children)
        idle.close()
        for one in (stream, busy):
            one.exception(timeout=30)


def test_a_full_queue_is_refused_with_retry_after():
    with running("--queue", 2) as server, ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: server.predict(*[TDH3] * 300), range(8)))
        refused = [answer for answer in answers if answer.status_code == 503]
        assert refused and len(refused) < 8
        assert error_of(refused[0], 503)["limit"] == 2
        assert refused[0].headers["retry-after"] == "1"


@pytest.mark.parametrize(
    ("options", "text"),
    [(["--model", "no-such-model"], "no-such-model"), (["--port", "{port}"], "is in use"),
     (["--host", "203.0.113.7", "--port", "0"], "cannot listen on 203.0.113.7")],
)  # fmt: skip
def test_a_server_that_cannot_start_says_why(live, crmnet, options, text):
    options = [word.format(port=live.port) for word in options]
    port = [] if "--port" in options else ["--port", 0]
    status, _, err = crmnet("serve", *options, *port)
    assert status == 2 and text in err.splitlines()[-1]
    assert ("warning: everyone" in err) == ("--host" in options)


def test_without_the_extra_one_line_says_what_to_install(crmnet, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "crmnet.serve.app", None)
    status, _, err = crmnet("serve")
    assert status == 2 and err.count("\n") == 1 and "pip install 'crmnet[serve]'" in err


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--game", "http://127.0.0.1:1"], "name a data set or a file"),
        (["--game", "ftp://a", "rows.tsv"], "takes an address such as"),
        (["--game", "http://127.0.0.1:1", "rows.tsv"], "does not answer"),
        (["--game", "http://127.0.0.1:1", "rows.tsv", "--predictions", "p"], "--predictions"),
    ],
)
def test_the_evaluator_says_what_is_wrong(crmnet, tmp_path, monkeypatch, words, text):
    monkeypatch.chdir(tmp_path)
    write_rows(tmp_path / "rows.tsv", [("ACGT" * 20, 1.0), ("TTTT" * 20, 2.0), ("CCCC", 3.0)],
               "sequence expression")  # fmt: skip
    status, _, err = crmnet("evaluate", *words)
    assert status == 2 and text in err
