"""A running server, and the models of one without a process."""

import pytest

from serving import running


@pytest.fixture(scope="session")
def live():
    """A server with the default limits, but two seconds to send a request."""
    with running("--request-seconds", 2) as server:
        yield server


@pytest.fixture(scope="session")
def models():
    """What the model process of a server computes with."""
    from crmnet.serve.answers import Models

    return Models(["yeast-fast"], "cpu", lambda: None)
