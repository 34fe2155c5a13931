"""``python -m crmnet`` is the command ``crmnet``."""

from crmnet.cli import run

run()
