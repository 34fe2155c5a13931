"""Prints how many blocks ran, and why the others did not."""

from collections import Counter


def pytest_terminal_summary(terminalreporter):
    """After the tests of the pages: counts of blocks by what happened to them."""
    ran, compared, left_out = Counter(), 0, []
    for report in terminalreporter.stats.get("passed", []):
        kept = dict(report.user_properties)
        ran.update(kept.get("ran", {}))
        compared += kept.get("compared", 0)
        left_out += kept.get("left_out", [])
    if not ran:
        return
    total = ran.total() + sum(block_count for block_count, _, _ in left_out)
    write = terminalreporter.write_line
    names = {"sh": "shell", "python": "Python"}
    kinds = ", ".join(f"{count} {names.get(kind, kind)}" for kind, count in ran.items())
    write(f"code blocks of README.md and docs/: {ran.total()} of {total} ran ({kinds}); "
          f"{compared} outputs compared")  # fmt: skip
    for count, page, reason in left_out:
        write(f"  not run: {page}: {count} {'block' if count == 1 else 'blocks'}: {reason}")
