"""``python -m crmnet`` is the command ``crmnet``."""

from crmnet.cli import main

main()
