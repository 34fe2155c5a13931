"""Expression for sequences: the one place with batches, device and evaluation mode.

Takes a run folder and sequences or tokens, gives numbers in the unit of each medium. Everything
above (evaluation, explanation, design, the server) asks a :class:`Predictor`.

    from crmnet.predict import Predictor
    Predictor.load("RUN").predict(["TGCATTTTTTTCACATC..."])
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from crmnet import sequence
from crmnet.checkpoint import load_run
from crmnet.data.loader import output_of
from crmnet.data.reading import HARMLESS, read_blocks
from crmnet.models.inference import for_inference

BATCH_SIZE = 256
Expression = npt.NDArray[np.float32]
Precision = Literal["fp32", "bf16"]
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


class Rescaled(nn.Module):
    """A network whose outputs are put back into the unit of each medium: (B, 4, L) → (B, M)."""

    mean: Tensor
    sd: Tensor

    def __init__(self, network: nn.Module, mean: Sequence[float], sd: Sequence[float]) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32))
        self.register_buffer("sd", torch.tensor(sd, dtype=torch.float32))

    def forward(self, x_BCL: Tensor) -> Tensor:
        return self.network(x_BCL) * self.sd + self.mean


@dataclass
class Predictor:
    """A trained model ready to answer; make one with :meth:`load`."""

    model: nn.Module
    """``(B, 4, 112)`` one-hot → ``(B, n_media)``, in the media's own units, in evaluation mode."""
    media: list[str]
    """Names of the outputs; one that stands for two media is called ``complex+defined``."""
    device: torch.device
    batch_size: int = BATCH_SIZE
    length: int = sequence.LENGTH
    """Positions that the network sees."""
    fast: nn.Module | None = None
    """The same function rearranged for speed, and rounded if that was asked for, which predictions
    come from; None takes :attr:`model`, whose modules attribution knows."""

    @classmethod
    def load(
        cls,
        model: str | Path,
        *,
        device: str = "auto",
        batch_size: int = BATCH_SIZE,
        precision: Precision = "fp32",
    ) -> Predictor:
        """Open a run folder.

        Args:
            model: The run folder.
            device: ``cpu``, ``cuda``, ``mps``, or ``auto`` for the fastest that is there.
            batch_size: Sequences per forward pass; lower it if memory runs out.
            precision: ``fp32`` predicts what the network does up to rounding; ``bf16`` computes in
                bfloat16, faster on processors that can, with some 3 correct digits.

        Raises:
            FileNotFoundError: If the folder is not there.
            ValueError: If its contents are not a whole, matching run, or the precision is unknown.
        """
        if precision not in DTYPES:
            raise ValueError(f"precision must be one of {', '.join(DTYPES)}; got {precision!r}")
        network, record = load_run(model)
        scales = [record.scale[medium] for medium in record.media]
        where = choose_device(device)
        whole, fast = (
            Rescaled(form, [s.mean for s in scales], [s.sd for s in scales]).to(where).eval()
            for form in (network, for_inference(network, where, DTYPES[precision]))
        )
        length = record.settings.model.settings.get("length", sequence.LENGTH)
        return cls(whole, record.media, where, batch_size, length, fast)

    def predict(
        self,
        sequences: Sequence[str],
        *,
        medium: str | None = None,
        flanks: sequence.Flanks = "auto",
    ) -> Expression:
        """Expression of each sequence.

        Args:
            sequences: Inserts or whole constructs, A, C, G, T and N.
            medium: One of :attr:`media`; None predicts all.
            flanks: As in :func:`crmnet.sequence.prepare`.

        Returns:
            ``(N,)`` for one medium or a model with one output, else ``(N, n_media)``.

        Raises:
            ValueError: If a sequence holds other letters, or the medium is not known.
        """
        tokens, _ = sequence.prepare(*sequence.encode(sequences), flanks, self.length)
        predicted = self.predict_tokens(tokens)
        if medium is not None:
            return predicted[:, self.medium_index(medium)]
        return predicted[:, 0] if len(self.media) == 1 else predicted

    def predict_tokens(self, tokens: sequence.Tokens) -> Expression:
        """Expression ``(N, n_media)`` of prepared tokens ``(N, L)``, a batch at a time."""
        network = self.model if self.fast is None else self.fast
        predicted = np.empty((len(tokens), len(self.media)), dtype=np.float32)
        with torch.inference_mode():
            for start in range(0, len(tokens), self.batch_size):
                batch = np.array(tokens[start : start + self.batch_size])
                x_BCL = sequence.one_hot(torch.from_numpy(batch).to(self.device))
                predicted[start : start + len(batch)] = network(x_BCL).float().cpu().numpy()
        return predicted

    def medium_index(self, medium: str) -> int:
        """The output that stands for ``medium``."""
        return output_of(medium, self.media)


def choose_device(name: str) -> torch.device:
    """The device of that name; ``auto`` is CUDA, else Apple's MPS, else the CPU.

    Raises:
        ValueError: If this machine has no such device.
    """
    there = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if name == "auto":
        name = next(device for device, available in there.items() if available)
    if not there.get(name, False):
        raise ValueError(f"this machine has no device {name!r}; use cpu or auto")
    return torch.device(name)


class Answered(NamedTuple):
    """Predictions for one block of an input file."""

    ids: list[str]
    expression: Expression
    """``(N, n_media)``."""
    preparation: sequence.Preparation


def predict_file(
    predictor: Predictor, path: Path, *, flanks: sequence.Flanks = "auto"
) -> Iterator[Answered]:
    """Predict the sequences of a file in input order; memory does not grow with the file.

    Ids are those of the file (FASTA names, an ``id`` column), else running numbers from 1.

    Raises:
        ValueError: At the first sequence that cannot be read, naming file, line and position.
    """
    count = 0
    for block in read_blocks(path, ("id", "sequence")):
        for line, reason, _ in block.misshapen:
            if reason not in HARMLESS:
                raise ValueError(f"{path}, line {line}: {reason}")
        if not len(block):
            continue
        numbers = [str(count + n) for n in range(1, len(block) + 1)]
        count += len(block)
        ids = [i.decode() for i in block.columns["id"]] if "id" in block.columns else numbers
        where = [f"{name} ({path}, line {n})" for name, n in zip(ids, block.lines, strict=True)]
        tokens, lengths = sequence.encode(block.columns["sequence"], where)
        tokens, done = sequence.prepare(tokens, lengths, flanks, predictor.length)
        yield Answered(ids, predictor.predict_tokens(tokens), done)
    if not count:
        raise ValueError(f"{path} holds no sequences")
