"""schemathesis: no request that the OpenAPI document describes, or breaks, is answered badly."""

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.specs.openapi.checks import positive_data_acceptance

from crmnet.serve.app import ServeOptions, make_app
from crmnet.serve.jobs import Jobs
from crmnet.serve.limits import Limits
from crmnet.serve.model import Model

pytestmark = pytest.mark.slow

ACCEPTS_ALL = positive_data_acceptance
"""Not checked: a model or job that does not exist is refused, whatever the form of its name."""
EXAMPLES = 15
"""Requests to each operation; always the same."""


def document():
    """The OpenAPI document of a server that does not run."""
    limits = Limits()
    model = Model(["yeast-fast"], "cpu", limits)
    return make_app(ServeOptions(), model, Jobs({}, "cpu", limits)).openapi()


OPERATIONS = [
    result.ok() for result in schemathesis.openapi.from_dict(document()).get_all_operations()
]


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.label)
def test_answers_are_those_of_the_document(live, operation):
    @settings(max_examples=EXAMPLES, derandomize=True, deadline=None, database=None,
              suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(case=operation.as_strategy())
    def ask(case):
        case.call_and_validate(base_url=live.url, timeout=60, excluded_checks=[ACCEPTS_ALL])

    ask()


def test_the_document_of_a_server_is_this_one(live):
    assert live.get("openapi.json").json() == document()


def test_every_operation_documents_its_errors():
    for path, methods in document()["paths"].items():
        for operation in methods.values():
            assert {"400", "403", "408", "413", "415", "422", "503"} <= set(operation["responses"])
            assert operation["summary"] and operation["description"], path
