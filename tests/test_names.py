"""What a mistyped name may have meant."""

import pytest

from crmnet.names import did_you_mean

KNOWN = ["heads", "headers", "kernel"]


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("headz", {}, "did you mean 'heads'?"),
        ("heades", {"most": 3}, "did you mean 'headers' or 'heads'?"),
        ("hea", {"cutoff": 0.9}, ""),
        ("xyz", {}, ""),
    ],
)
def test_the_nearest_names_are_suggested_if_they_are_near(name, options, said):
    assert did_you_mean(name, KNOWN, **options) == said


def test_keys_of_a_mapping_will_do():
    assert did_you_mean("kernal", dict.fromkeys(KNOWN)) == "did you mean 'kernel'?"
