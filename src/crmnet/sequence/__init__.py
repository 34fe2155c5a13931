"""DNA as arrays: letters ⇄ tokens → one-hot, adapters, strands, shuffles.

Bottom layer: converts DNA strings to arrays; all other modules use these arrays. Import the names
from this package; its modules are::

    assay           constants: adapters, lengths, sorting bins
    tokens          letters ⇄ tokens → one-hot, lengths, padding
    adapters        recognises, removes and adds adapters
    preparation     inserts and constructs → constructs of the length of a network's input
    long_sequences  windows of sequences that are longer than a network's input
    strands         the reverse complement
    shuffles        random orders that keep the bases or the pairs of bases

Accepted wherever a sequence is read: A, C, G, T and N in upper or lower case, of any length. Files
may be FASTA, TSV, CSV or one sequence per line, plain, ``.gz`` or ``.zst`` (see
:mod:`crmnet.data.reading`). U, gaps and other letters are errors that name the position; IUPAC
letters for several bases are read as N on request. A construct that is longer than the network's
input is an error (:func:`constructs`), or one of its windows is read (:func:`windows`). Only
ingestion cuts such rows at the end, as the paper does (:func:`prepare`).

Arrays:
    tokens   ``(N, L)`` uint8, A 0, C 1, G 2, T 3, N 4; shorter sequences are padded with N
    one-hot  ``(B, 4, L)`` float, channels A C G T, all zeros where the base is N
"""

from __future__ import annotations

from crmnet.choices import Flanks, Iupac, Window
from crmnet.sequence.adapters import adapter_mismatches, find_adapters, inserts
from crmnet.sequence.assay import (
    ADAPTER_3,
    ADAPTER_5,
    ADAPTER_MISMATCHES,
    BINS,
    INSERT,
    LENGTH,
    TOP_BIN,
)
from crmnet.sequence.long_sequences import (
    Stretch,
    insert_window,
    window_constructs,
    window_spans,
    windows,
)
from crmnet.sequence.preparation import (
    WARNING,
    Preparation,
    constructs,
    given_spans,
    prepare,
    too_long,
)
from crmnet.sequence.shuffles import shuffle
from crmnet.sequence.strands import other_strand, reverse_complement, strandless_insert
from crmnet.sequence.tokens import (
    INVALID,
    LETTERS,
    N_TOKEN,
    Lengths,
    Texts,
    Tokens,
    as_list,
    as_tokens,
    decode,
    describe_bad_letter,
    encode,
    fit_length,
    iupac_as_n,
    letters_to_tokens,
    one_hot,
    sequence_lengths,
)

__all__ = [
    "ADAPTER_3",
    "ADAPTER_5",
    "ADAPTER_MISMATCHES",
    "BINS",
    "INSERT",
    "INVALID",
    "LENGTH",
    "LETTERS",
    "N_TOKEN",
    "TOP_BIN",
    "WARNING",
    "Flanks",
    "Iupac",
    "Lengths",
    "Preparation",
    "Stretch",
    "Texts",
    "Tokens",
    "Window",
    "adapter_mismatches",
    "as_list",
    "as_tokens",
    "constructs",
    "decode",
    "describe_bad_letter",
    "encode",
    "find_adapters",
    "fit_length",
    "given_spans",
    "insert_window",
    "inserts",
    "iupac_as_n",
    "letters_to_tokens",
    "one_hot",
    "other_strand",
    "prepare",
    "reverse_complement",
    "sequence_lengths",
    "shuffle",
    "strandless_insert",
    "too_long",
    "window_constructs",
    "window_spans",
    "windows",
]
