"""Suggestions for mistyped names."""

import pytest

from crmnet.names import did_you_mean

KNOWN = ["heads", "headers", "kernel"]


@pytest.mark.parametrize(
    ("name", "options", "suggestion"),
    [
        ("headz", {}, "did you mean 'heads'?"),
        ("heades", {"max_suggestions": 3}, "did you mean 'headers' or 'heads'?"),
        ("hea", {"cutoff": 0.9}, ""),
        ("xyz", {}, ""),
    ],
)
def test_similar_names_are_suggested(name, options, suggestion):
    assert did_you_mean(name, KNOWN, **options) == suggestion


def test_the_known_names_may_be_a_mapping():
    assert did_you_mean("kernal", dict.fromkeys(KNOWN)) == "did you mean 'kernel'?"
