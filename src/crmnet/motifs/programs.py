"""Other programs that find and name motifs: STREME, MEME and TOMTOM, and TF-MoDISco.

Each is run as a program of its own, where it is installed, and its motifs are read back from a MEME
file. What is written for it and what it writes stays in a folder. The programs search; p-values
come from sequences they have not seen, as for the search of :mod:`crmnet.motifs.discover`.
"""

from __future__ import annotations

import csv
import logging
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, get_args

import numpy as np
import numpy.typing as npt

from crmnet.arrays import Booleans, Integers
from crmnet.choices import Engine
from crmnet.motifs.discover import (
    Candidate,
    DiscoveredMotif,
    DiscoverOptions,
    described,
    group_test,
    significant,
    two_groups,
    with_p_values,
)
from crmnet.motifs.formats import as_meme, read_motifs
from crmnet.motifs.pwm import Motif
from crmnet.motifs.refine import POLISHING, START, best_cut, best_scores, floor_of, trim
from crmnet.motifs.residual import Sequences, fit, rest_of
from crmnet.motifs.seqlets import stretches
from crmnet.sequence import Tokens, decode

log = logging.getLogger("crmnet")

ENGINES = get_args(Engine)
MEME_SUITE = "install the MEME suite (meme-suite.org) and put its programs on the PATH"
REMEDY = {
    "streme": MEME_SUITE,
    "meme": MEME_SUITE,
    "modisco": "pip install 'crmnet[modisco]'",
}
MEME_MOTIFS = 20
"""Motifs that MEME is asked for in each direction; STREME stops by itself."""
SEQLETS = 5000
"""TF-MoDISco's limit for seqlets of either sign."""
STRETCH = 11
"""Bases around the core of an important stretch, as TF-MoDISco's seqlets have 30 bases."""
MESSAGES = "messages.txt"
TAIL = 3
"""Lines of a failed program's messages that are shown."""


def present(program: str) -> bool:
    """Whether a program is on the PATH."""
    return shutil.which(program) is not None


def installed(engine: str) -> str:
    """The program to run: of ``meme`` it is STREME where MEME is missing.

    Raises:
        FileNotFoundError: If it is not on the PATH; says how to get it.
    """
    for program in ("meme", "streme") if engine == "meme" else (engine,):
        if present(program):
            return program
    raise FileNotFoundError(f"{engine} is not on the PATH: {REMEDY[engine]}, or use --engine own")


def run(words: Sequence[str | Path], folder: Path) -> None:
    """Run a program to its end; its messages go into MESSAGES in ``folder``.

    Raises:
        ValueError: If it fails; shows the last lines of what it said.
    """
    messages = folder / MESSAGES
    log.info("%s is running; its messages go to %s", words[0], messages)
    with messages.open("a", encoding="utf-8") as file:
        status = subprocess.run(
            [str(word) for word in words], stdout=file, stderr=subprocess.STDOUT, check=False
        ).returncode
    if status:
        said = messages.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        raise ValueError(
            f"{words[0]} ended with status {status}: {' / '.join(said[-TAIL:])} (all of it is in "
            f"{messages})"
        )


def program_motifs(
    tokens: Tokens, top: Booleans, program: str, folder: Path, options: DiscoverOptions
) -> list[DiscoveredMotif]:
    """Motifs that STREME or MEME finds in either of two groups, the other being the control.

    Args:
        tokens: ``(B, L)`` inserts.
        top: ``(B,)`` which are of the upper group.
        program: ``streme`` or ``meme``, on the PATH.
        folder: Gets ``high`` and ``low``, with the sequences and all that the program writes.
        options: How many are held out, and how strict; ids count from ``S1`` or ``M1``.
    """
    learn, test = two_groups(tokens, top, options)
    candidates: list[Candidate] = []
    for high in (True, False):
        place = folder / ("high" if high else "low")
        place.mkdir(parents=True, exist_ok=True)
        files = place / "primary.fa", place / "control.fa"
        for file, group in zip(files, (high, not high), strict=True):
            file.write_text(_as_fasta(learn.tokens[(learn.height == 1) == group]), encoding="utf-8")
        run([program, *_arguments(program, *files, place / program, options)], place)
        found = _results(place / program / f"{program}.txt")
        candidates += [_as_candidate(motif, learn, high, options) for motif in found]
    judged = with_p_values(candidates, test, group_test(test))
    return significant(described(judged, test), len(judged), options, program[0].upper())


def _arguments(
    program: str, primary: Path, control: Path, folder: Path, options: DiscoverOptions
) -> list[str | Path]:
    seed = str(options.seed)
    if program == "streme":
        return ["--p", primary, "--n", control, "--dna", "--oc", folder, "--seed", seed]
    return [
        primary, "-neg", control, "-objfun", "de", "-dna", "-revcomp",
        "-nmotifs", str(MEME_MOTIFS), "-oc", folder, "-seed", seed,
    ]  # fmt: skip


class AttributedConstructs(NamedTuple):
    """Constructs and what each base contributes to a prediction."""

    tokens: Tokens
    """``(B, L)``."""
    values: npt.NDArray[np.floating]
    """``(B, L)`` of the base that is there."""
    hypothetical: npt.NDArray[np.floating] | None
    """``(B, 4, L)`` of every base, were it there; None where nobody said."""


def modisco_motifs(
    attributed: AttributedConstructs, insert: slice, folder: Path, options: DiscoverOptions
) -> list[DiscoveredMotif]:
    """Motifs that TF-MoDISco finds; its positive patterns are ``high``.

    It sees all but the held-out sequences. Thresholds come from the important stretches
    (:mod:`crmnet.motifs.seqlets`) of those it saw, p-values from those of the others.

    Args:
        attributed: Constructs; attributions of the adapters are taken for 0.
        insert: Where the inserts are.
        folder: Gets what is written for the program and by it.
        options: How many are held out, and how strict; ids count from ``T1``.
    """
    order = np.random.default_rng(options.seed).permutation(len(attributed.tokens))
    seen, unseen = np.split(order, [round(len(order) * (1 - options.held_out))])
    patterns = _modisco(attributed, seen, insert, folder)
    found: list[DiscoveredMotif] = []
    tried = 0
    for sign, prefix, where in ((1, "pos", "high"), (-1, "neg", "low")):
        mine = [motif for motif in patterns if motif.id.startswith(prefix)]
        learn, test = (
            stretches(attributed.tokens[rows, insert], attributed.values[rows, insert], sign,
                      options.seed, STRETCH)
            for rows in (seen, unseen)
        )  # fmt: skip
        if not (mine and learn.height.any() and test.height.any()):
            continue
        candidates = [_as_candidate(motif, learn, True, options) for motif in mine]
        judged = with_p_values(candidates, test, group_test(test))
        found += [f._replace(enriched=where) for f in described(judged, test)]
        tried += len(judged)
    return significant(found, tried, options, "T")


def _modisco(
    attributed: AttributedConstructs, rows: Integers, insert: slice, folder: Path
) -> list[Motif]:
    """The patterns of some constructs."""
    if attributed.hypothetical is None:
        raise ValueError(
            "the attributions say nothing of letters that are not there, which TF-MoDISco needs; "
            "run crmnet explain again, with a method other than masked"
        )
    folder.mkdir(parents=True, exist_ok=True)
    inside = np.zeros(attributed.tokens.shape[1], dtype=bool)
    inside[insert] = True
    letters = attributed.tokens[rows]
    arrays = {
        "sequences": (letters[:, None, :] == np.arange(4)[:, None]).astype(np.float32),
        "hypothetical": (attributed.hypothetical[rows] * inside).astype(np.float32),
    }
    files = {name: folder / f"{name}.npz" for name in arrays}
    for name, file in files.items():
        np.savez_compressed(file, arrays[name])
    results, meme = folder / "results.h5", folder / "motifs.meme"
    # The window has to be told: the default, 400, is wider than any construct.
    run(
        ["modisco", "motifs", "-s", files["sequences"], "-a", files["hypothetical"],
         "-n", str(SEQLETS), "-o", results, "-w", str(letters.shape[1] // 2 * 2 - 2)],
        folder,
    )  # fmt: skip
    run(["modisco", "meme", "-i", results, "-o", meme, "-t", "PFM", "-q"], folder)
    return _results(meme)


def tomtom_names(
    motifs: Sequence[Motif], targets: Sequence[Motif], folder: Path
) -> dict[str, tuple[str, float, float]]:
    """TOMTOM's best target for each motif: from id to the target's id, p and q.

    Raises:
        ValueError: If TOMTOM fails, or leaves no table.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = folder / "motifs.meme", folder / "targets.meme"
    for file, some in zip(files, (motifs, targets), strict=True):
        file.write_text(as_meme(some), encoding="utf-8")
    out = folder / "tomtom"
    run(["tomtom", "-no-ssc", "-oc", out, "-dist", "ed", "-min-overlap", "5", "-thresh", "1",
         *files], folder)  # fmt: skip
    table = out / "tomtom.tsv"
    if not table.is_file():
        raise ValueError(f"tomtom left no {table}; what it said is in {folder / MESSAGES}")
    best: dict[str, tuple[str, float, float]] = {}
    with table.open(newline="", encoding="utf-8") as lines:
        for row in csv.DictReader(lines, delimiter="\t"):
            query, p = row["Query_ID"], row["p-value"]
            if query and p and (query not in best or float(p) < best[query][1]):
                best[query] = row["Target_ID"], float(p), float(row["q-value"])
    return best


def _results(path: Path) -> list[Motif]:
    """The motifs a program has left; none is no error."""
    if not path.is_file():
        raise ValueError(f"the program left no {path}; what it said is in {MESSAGES} beside it")
    return read_motifs(path) if "\nMOTIF" in path.read_text(encoding="utf-8") else []


def _as_candidate(
    motif: Motif, learn: Sequences, high: bool, options: DiscoverOptions
) -> Candidate:
    """Where its sites begin and how far they lean, in the sequences that the program saw."""
    total = motif.counts.sum(axis=0)
    # Too few sites, such as the one that TF-MoDISco states, would drown in the pseudocount.
    short = trim(Motif("?", "?", motif.counts / total * max(START, float(total.max()))))
    nothing = np.zeros((len(learn.tokens), 0))
    rest = rest_of(learn, nothing, fit(learn, nothing))
    score = best_scores(learn.tokens, short)[0]
    floor = floor_of(short, POLISHING.chance)
    z, threshold = best_cut(score, rest if high else rest.turned(), options.fewest, floor)
    return Candidate(short, threshold, high, z)


def _as_fasta(tokens: Tokens) -> str:
    return "".join(f">{number}\n{text}\n" for number, text in enumerate(decode(tokens), 1))
