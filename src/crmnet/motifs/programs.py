"""External programs that find and name motifs: STREME, MEME, TOMTOM and TF-MoDISco.

The functions take tokens and groups, or attributions, and return motifs as
:mod:`crmnet.motifs.discover` does, to :mod:`crmnet.interpretation.discovery`. Each program runs in
a subprocess if it is installed. The folder of its inputs and outputs is kept, and its motifs are
read from a MEME file. The programs only search: p-values come from held-out sequences, as in the
search of this package.
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

from crmnet.arrays import Integers
from crmnet.choices import Engine
from crmnet.files import PathLike
from crmnet.motifs.discover import (
    Candidate,
    DiscoveredMotif,
    DiscoverOptions,
    group_test,
    search_and_test_sets,
    significant_motifs,
    with_p_values,
    with_shares,
)
from crmnet.motifs.formats import as_meme, read_motifs
from crmnet.motifs.pwm import Motif
from crmnet.motifs.refine import (
    POLISHING_LIMITS,
    SEED_SITES,
    best_scores,
    best_threshold,
    score_at_p,
    trim,
)
from crmnet.motifs.residual import LabelledSequences, compute_residuals, fit_regression
from crmnet.motifs.seqlets import seqlets_and_background
from crmnet.sequence import Tokens, as_tokens, decode

log = logging.getLogger("crmnet")

ENGINES = get_args(Engine)
MEME_SUITE_HINT = "install the MEME suite (meme-suite.org) and put its programs on the PATH"
INSTALL_HINTS = {
    "streme": MEME_SUITE_HINT,
    "meme": MEME_SUITE_HINT,
    "modisco": "pip install 'crmnet[modisco]'",
}
MEME_MOTIFS = 20
"""Number of motifs that MEME searches for in each direction. STREME has its own stopping rule."""
MAX_SEQLETS = 5000
"""TF-MoDISco's largest number of seqlets of either sign."""
SEQLET_FLANK = 11
"""Bases on either side of a seqlet's core: 30 bases together, like TF-MoDISco's seqlets."""
MESSAGES_FILE = "messages.txt"
SHOWN_LINES = 3
"""Number of last lines of its messages that the error of a failed program shows."""


def is_installed(program: str) -> bool:
    """Whether a program is on the PATH."""
    return shutil.which(program) is not None


def find_program(engine: str) -> str:
    """Name of the program to run; for ``meme`` this is STREME if MEME is not installed.

    Raises:
        FileNotFoundError: If the program is not on the PATH; the message shows how to install it.
    """
    for program in ("meme", "streme") if engine == "meme" else (engine,):
        if is_installed(program):
            return program
    raise FileNotFoundError(
        f"{engine} is not on the PATH: {INSTALL_HINTS[engine]}, or use --engine own"
    )


def run_program(command: Sequence[PathLike], folder: PathLike) -> None:
    """Run a program and wait for its end; append its messages to MESSAGES_FILE in ``folder``.

    Raises:
        ValueError: If its exit status is not 0; the error shows the last lines of its messages.
    """
    folder = Path(folder)
    messages = folder / MESSAGES_FILE
    log.info("%s is running; its messages go to %s", command[0], messages)
    with messages.open("a", encoding="utf-8") as file:
        status = subprocess.run(
            [str(argument) for argument in command],
            stdout=file,
            stderr=subprocess.STDOUT,
            check=False,
        ).returncode
    if status:
        lines = messages.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        raise ValueError(
            f"{command[0]} ended with status {status}: {' / '.join(lines[-SHOWN_LINES:])} "
            f"(complete messages: {messages})"
        )


def program_motifs(
    tokens: npt.ArrayLike,
    top: npt.ArrayLike,
    program: str,
    folder: PathLike,
    options: DiscoverOptions,
) -> list[DiscoveredMotif]:
    """Motifs that STREME or MEME finds in one of two groups, with the other as control.

    Args:
        tokens: ``(B, L)`` inserts.
        top: ``(B,)`` True for the high group.
        program: ``streme`` or ``meme``; must be on the PATH.
        folder: Receives ``high`` and ``low``, with the sequences and all output of the program.
        options: Settings of the search; ids count from ``S1`` or ``M1``.
    """
    tokens, top = as_tokens(tokens), np.asarray(top)
    folder = Path(folder)
    search, test = search_and_test_sets(tokens, top, options)
    candidates: list[Candidate] = []
    for high in (True, False):
        direction_folder = folder / ("high" if high else "low")
        direction_folder.mkdir(parents=True, exist_ok=True)
        files = direction_folder / "primary.fa", direction_folder / "control.fa"
        for file, group in zip(files, (high, not high), strict=True):
            file.write_text(
                _as_fasta(search.tokens[(search.response == 1) == group]), encoding="utf-8"
            )
        run_program(
            [program, *_arguments(program, *files, direction_folder / program, options)],
            direction_folder,
        )
        motifs = _read_results(direction_folder / program / f"{program}.txt")
        candidates += [_as_candidate(motif, search, high, options) for motif in motifs]
    tested = with_p_values(candidates, test, group_test(test))
    return significant_motifs(with_shares(tested, test), len(tested), options, program[0].upper())


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
    """Constructs and the contribution of each base to a prediction."""

    tokens: Tokens
    """``(B, L)``."""
    values: npt.NDArray[np.floating]
    """``(B, L)``, for the observed base."""
    hypothetical: npt.NDArray[np.floating] | None
    """``(B, 4, L)``, for each possible base; None if not available."""
    inserts: Integers | None = None
    """``(B, 2)``, first and one past the last position of each insert; None means what lies between
    the adapters that are recognised."""


def modisco_motifs(
    attributed: AttributedConstructs, insert: slice, folder: PathLike, options: DiscoverOptions
) -> list[DiscoveredMotif]:
    """Motifs that TF-MoDISco finds; its positive patterns are ``high``, its negative ones ``low``.

    TF-MoDISco searches only a part of the sequences. Score thresholds come from seqlets
    (:mod:`crmnet.motifs.seqlets`) of this part, p-values from seqlets of the held-out sequences.

    Args:
        attributed: Constructs; attributions of the adapters are treated as 0.
        insert: Positions of the inserts.
        folder: Receives all input and output of the program.
        options: Settings of the search; ids count from ``T1``.

    Raises:
        ValueError: If there are no hypothetical attributions, or the program fails.
    """
    folder = Path(folder)
    order = np.random.default_rng(options.seed).permutation(len(attributed.tokens))
    search_rows, test_rows = np.split(order, [round(len(order) * (1 - options.held_out))])
    patterns = _modisco(attributed, search_rows, insert, folder)
    discovered: list[DiscoveredMotif] = []
    n_tested = 0
    for sign, prefix, direction in ((1, "pos", "high"), (-1, "neg", "low")):
        of_sign = [motif for motif in patterns if motif.id.startswith(prefix)]
        search, test = (
            seqlets_and_background(
                attributed.tokens[rows, insert],
                attributed.values[rows, insert],
                sign,
                options.seed,
                SEQLET_FLANK,
            )
            for rows in (search_rows, test_rows)
        )
        if not (of_sign and search.response.any() and test.response.any()):
            continue
        candidates = [_as_candidate(motif, search, True, options) for motif in of_sign]
        tested = with_p_values(candidates, test, group_test(test))
        discovered += [entry._replace(enriched=direction) for entry in with_shares(tested, test)]
        n_tested += len(tested)
    return significant_motifs(discovered, n_tested, options, "T")


def _modisco(
    attributed: AttributedConstructs, rows: Integers, insert: slice, folder: Path
) -> list[Motif]:
    """The patterns of the constructs ``rows``."""
    if attributed.hypothetical is None:
        raise ValueError(
            "TF-MoDISco needs attributions of bases that are not observed; the file has none. Run "
            "crmnet explain again with a method other than masked"
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
    # The default window of 400 bases is wider than any construct.
    run_program(
        ["modisco", "motifs", "-s", files["sequences"], "-a", files["hypothetical"],
         "-n", str(MAX_SEQLETS), "-o", results, "-w", str(letters.shape[1] // 2 * 2 - 2)],
        folder,
    )  # fmt: skip
    run_program(["modisco", "meme", "-i", results, "-o", meme, "-t", "PFM", "-q"], folder)
    return _read_results(meme)


def tomtom_names(
    motifs: Sequence[Motif], targets: Sequence[Motif], folder: PathLike
) -> dict[str, tuple[str, float, float]]:
    """TOMTOM's best target for each motif: motif id → target id, p and q.

    Raises:
        ValueError: If TOMTOM fails or writes no table.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    files = folder / "motifs.meme", folder / "targets.meme"
    targets = [target.renamed("_".join(target.name.split()), target.id) for target in targets]
    for file, group in zip(files, (motifs, targets), strict=True):
        file.write_text(as_meme(group), encoding="utf-8")
    out = folder / "tomtom"
    run_program(
        ["tomtom", "-no-ssc", "-oc", out, "-dist", "ed", "-min-overlap", "5", "-thresh", "1",
         *files],
        folder,
    )  # fmt: skip
    table = out / "tomtom.tsv"
    if not table.is_file():
        raise ValueError(f"tomtom wrote no {table}; see its messages in {folder / MESSAGES_FILE}")
    best: dict[str, tuple[str, float, float]] = {}
    with table.open(newline="", encoding="utf-8") as lines:
        for row in csv.DictReader(lines, delimiter="\t"):
            query, p = row["Query_ID"], row["p-value"]
            if query and p and (query not in best or float(p) < best[query][1]):
                best[query] = row["Target_ID"], float(p), float(row["q-value"])
    return best


def _read_results(path: Path) -> list[Motif]:
    """The motifs in a program's output; the list may be empty."""
    if not path.is_file():
        raise ValueError(f"the program wrote no {path}; see {MESSAGES_FILE} in the same folder")
    return read_motifs(path) if "\nMOTIF" in path.read_text(encoding="utf-8") else []


def _as_candidate(
    motif: Motif, search: LabelledSequences, high: bool, options: DiscoverOptions
) -> Candidate:
    """The motif with its threshold and z in the sequences that the program searched."""
    total = motif.counts.sum(axis=0)
    # With few sites (TF-MoDISco reports one) the pseudocount would flatten the matrix.
    trimmed = trim(Motif("?", "?", motif.counts / total * max(SEED_SITES, float(total.max()))))
    no_features = np.zeros((len(search.tokens), 0))
    residuals = compute_residuals(search, no_features, fit_regression(search, no_features))
    score = best_scores(search.tokens, trimmed)[0]
    min_score = score_at_p(trimmed, POLISHING_LIMITS.p_value)
    direction = residuals if high else residuals.negated()
    z, threshold = best_threshold(score, direction, options.min_sequences, min_score)
    return Candidate(trimmed, threshold, high, z)


def _as_fasta(tokens: Tokens) -> str:
    return "".join(f">{number}\n{text}\n" for number, text in enumerate(decode(tokens), 1))
