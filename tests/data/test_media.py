"""Outputs for media, and the hint for a medium that biologists call by another name."""

import pytest

from crmnet.data.media import output_of


@pytest.mark.parametrize(
    ("medium", "hint"),
    [
        ("YPD", "YPD is called complex here"),
        ("SC-Ura", "SC-Ura is called defined here"),
        ("complx", "did you mean 'complex'"),
        ("chardonnay", "has complex and defined$"),  # no output for it
    ],
)
def test_an_unknown_medium_is_an_error_with_the_name_that_is_known(medium, hint):
    with pytest.raises(ValueError, match=f"no medium '{medium}'.*{hint}"):
        output_of(medium, ["complex", "defined"])
