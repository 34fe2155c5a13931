"""Prediction of expression from sequences; handles batches, device and evaluation mode.

:meth:`Predictor.load` opens a model (a run folder, a packed file or the name of a bundled one;
:mod:`crmnet.runs`). A :class:`Predictor` takes sequences or tokens and returns numbers in the unit
of each medium, with their uncertainty if the model is calibrated. Evaluation and interpretation use
it for all predictions.

    from crmnet import Predictor
    Predictor.load("RUN").predict(["TGCATTTTTTTCACATC..."])
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, get_args

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from crmnet import sequence
from crmnet.arrays import is_whole
from crmnet.choices import Precision
from crmnet.data.media import output_of
from crmnet.data.packed import as_rows
from crmnet.device import Device, choose_device
from crmnet.files import PathLike
from crmnet.models.ensemble import Ensemble, Member, WithSpread, on_both_strands
from crmnet.models.inference_form import for_inference
from crmnet.models.layers import BothStrands, has_marks
from crmnet.prediction.module import PlainModule
from crmnet.prediction.stamp import Stamp, stamp_of, state_of
from crmnet.prediction.views import AllViews, Views, views_of
from crmnet.runs.model_card import ModelCard
from crmnet.runs.packed import LoadedModel, load_model
from crmnet.runs.record import RunRecord, flanks_of
from crmnet.statistics.uncertainty import Expression, Trust, assess_predictions, joined

BATCH_SIZE = 256
WINDOWS = 4096
"""Windows of a profile that are in memory at a time."""

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


class NotFiniteError(ValueError):
    """Raised when a network with finite weights predicts NaN or infinity for a sequence."""

    def __init__(self, row: int, name: str | None = None) -> None:
        """Describe the prediction of row ``row``, from 0; ``name`` describes it to the user."""
        super().__init__(
            f"the prediction of sequence {f'number {row + 1}' if name is None else name} is not a "
            "finite number: the network overflows; use another model, or train it again with a "
            "lower train.learning_rate"
        )
        self.row = row


class Rescaled(nn.Module):
    """A network whose outputs are rescaled to the unit of each medium: (B, 4, L) → (B, M)."""

    mean: Tensor
    sd: Tensor

    def __init__(self, network: nn.Module, mean: Sequence[float], sd: Sequence[float]) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32))
        self.register_buffer("sd", torch.tensor(sd, dtype=torch.float32))

    @property
    def has_marks(self) -> bool:
        """Whether the network has a strand channel: :func:`crmnet.models.layers.has_marks`."""
        return has_marks(self.network)

    def forward(self, x_BCL: Tensor) -> Tensor:
        return self.network(x_BCL) * self.sd + self.mean


@dataclass(repr=False)
class Predictor:
    """A trained model that predicts; :meth:`load` creates it."""

    model: nn.Module
    """``(B, 4, 112)`` one-hot → ``(B, n_media)`` in the units of the media; in evaluation mode."""
    media: list[str]
    """Names of the outputs; one output for two media is called ``complex+defined``."""
    device: torch.device
    batch_size: int = BATCH_SIZE
    """Sequences per forward pass, at least 1."""
    length: int = sequence.LENGTH
    """Number of positions of the network's input."""
    fast: nn.Module | None = None
    """Inference-optimised copy of :attr:`model`, in the requested precision, used for predictions;
    None means :attr:`model`. If the weights of :attr:`model` change, it is made again. Attribution
    always uses :attr:`model`."""
    card: ModelCard | None = None
    """Card of a packed or bundled model; None for a run folder."""
    units: Mapping[str, str] = field(default_factory=dict)
    """Output → unit of its predictions, if the training data state one."""
    precision: Precision = "fp32"
    """Precision of the arithmetic of :attr:`fast`."""
    records: Sequence[RunRecord] = ()
    """Records of the members; empty if made by hand."""
    name: str | None = None
    """Of the packed or bundled model, or the run folder; None if made by hand."""
    built_from: list[int] | None = None
    """State of :attr:`model` that :attr:`fast` was made from; another state makes it again."""
    stamp: Stamp | None = None
    """Of :attr:`model` at the last check; the state is computed again only if it differs."""
    changed: bool = False
    """Whether weights changed after loading; then the card's fingerprint and intervals are not
    those of the model, and are not used."""

    def __post_init__(self) -> None:
        if not is_whole(self.batch_size) or self.batch_size < 1:
            raise ValueError(
                f"batch_size must be a whole number of at least 1; got {self.batch_size!r}"
            )
        self.batch_size = int(self.batch_size)  # torch.split refuses an integer of NumPy

    @classmethod
    def load(
        cls,
        model: PathLike,
        *,
        device: Device = "auto",
        batch_size: int = BATCH_SIZE,
        precision: Precision = "fp32",
    ) -> Predictor:
        """Open a model.

        Args:
            model: A run folder, a packed file, or the name of a bundled model.
            device: ``auto`` for the fastest available device, or an argument of
                :class:`torch.device`: ``cpu``, ``cuda``, ``cuda:1``, ``mps``, or a device.
            batch_size: Sequences per forward pass; lower it if memory runs out.
            precision: ``fp32`` predicts the same as the network up to rounding; ``bf16`` computes
                in bfloat16, faster on processors that support it, with about 3 correct digits.

        Raises:
            FileNotFoundError: If the model does not exist.
            ValueError: If its files are damaged or do not belong together, the precision is
                unknown, the batch size is not a whole number of at least 1, or this machine has no
                such device.
        """
        if precision not in DTYPES:
            raise ValueError(f"precision must be one of {', '.join(DTYPES)}; got {precision!r}")
        loaded, device = load_model(model), choose_device(device)
        network = _complete_model(loaded).to(device).eval()
        card = loaded.card
        return cls(
            network, loaded.media, device, batch_size, loaded.length,
            _fast_form(network, device, precision), card, loaded.units, precision,
            loaded.records, Path(model).resolve().name if card is None else card.name,
            state_of(network), stamp_of(network),
        )  # fmt: skip

    def __repr__(self) -> str:
        """Name, media, length, device and number of ensemble members."""
        return (
            f"Predictor(name={self.name!r}, media={self.media}, length={self.length}, "
            f"device={str(self.device)!r}, members={self.members})"
        )

    def __call__(
        self,
        sequences: sequence.Texts,
        *,
        medium: str | None = None,
        flanks: sequence.Flanks = "auto",
        window: sequence.Window | None = None,
    ) -> Expression:
        """The same as :meth:`predict`."""
        return self.predict(sequences, medium=medium, flanks=flanks, window=window)

    def predict(
        self,
        sequences: sequence.Texts,
        *,
        medium: str | None = None,
        flanks: sequence.Flanks = "auto",
        window: sequence.Window | None = None,
    ) -> Expression:
        """Expression of each sequence.

        Args:
            sequences: Inserts or complete constructs of A, C, G, T and N: a list, an array, or a
                column of pandas or polars, by position.
            medium: One of :attr:`media`; None predicts all.
            flanks: As in :func:`crmnet.sequence.prepare`.
            window: As in :meth:`prepare`; :meth:`profile` predicts all windows of a sequence.

        Returns:
            ``(N,)`` for one medium or a model with one output, else ``(N, n_media)``.

        Raises:
            ValueError: If a sequence holds other letters, is not text or is too long for the
                network, or the medium is not known.
            NotFiniteError: If a prediction is NaN or infinite.
        """
        tokens = self.prepare(sequences, flanks=flanks, window=window)
        predicted = self.predict_tokens(tokens)
        if medium is not None:
            return predicted[:, self.medium_index(medium)]
        return predicted[:, 0] if len(self.media) == 1 else predicted

    def prepare(
        self,
        sequences: sequence.Texts,
        *,
        flanks: sequence.Flanks = "auto",
        window: sequence.Window | None = None,
    ) -> sequence.Tokens:
        """Tokens ``(N, length)`` of sequences, with their adapters, as the network sees them.

        Args:
            sequences: As in :meth:`predict`.
            flanks: As in :func:`crmnet.sequence.prepare`.
            window: ``last`` or ``first`` reads the 80 bases at that end of a sequence that is too
                long for the network; None refuses it.

        Raises:
            ValueError: If a sequence holds other letters than A, C, G, T and N, is not text, or is
                too long for the network and ``window`` is None, or ``flanks`` or ``window`` is
                unknown.
        """
        texts = sequence.as_list(sequences)
        _check_choice("flanks", flanks, get_args(sequence.Flanks))
        if window is not None:
            _check_choice("window", window, get_args(sequence.Window))
        if texts and np.ndim(texts[0]):
            raise ValueError(
                f"sequences must be text; call predict_tokens for tokens (N, {self.length}), and "
                "module() or module(insert_only=True) for a network that takes one-hot (N, 4, L)"
            )
        if window is not None:
            return self._prepare_windows(texts, window, flanks)
        remedy = (
            "pass window='last' or window='first' to predict one end, or call "
            "profile(sequence, step) for all of it"
        )
        return sequence.constructs(texts, flanks=flanks, length=self.length, remedy=remedy)[0]

    def _prepare_windows(
        self, texts: list[Any], window: sequence.Window, flanks: sequence.Flanks
    ) -> sequence.Tokens:
        if not all(isinstance(text, str | bytes) for text in texts):
            sequence.letters_to_tokens(texts)  # names the one that is not text
        windows = [sequence.windows(text, window, flanks, self.length) for text in texts]
        return sequence.window_constructs(texts, windows, flanks=flanks, length=self.length)[0]

    def profile(
        self,
        text: str,
        step: int = 10,
        *,
        flanks: sequence.Flanks = "auto",
    ) -> Profile:
        """Expression along a sequence of any length, one window of 80 bases every ``step`` bases.

        Each window is predicted as the insert of the assay's construct; see
        :func:`crmnet.sequence.windows`. A sequence that fits is one window.

        Args:
            text: The sequence.
            step: Bases from the start of a window to that of the next.
            flanks: As in :func:`crmnet.sequence.prepare`.

        Raises:
            ValueError: If the sequence is empty or holds other letters, or the step is not a whole
                number of at least 1.
        """
        if not isinstance(text, str | bytes):
            raise ValueError(f"profile takes one sequence as text; got {type(text).__name__}")
        windows = sequence.windows(text, step, flanks, self.length)
        expression, trust = [], []
        for first_window in range(0, len(windows), WINDOWS):
            windows_of_block = windows[first_window : first_window + WINDOWS]
            tokens, _ = sequence.window_constructs(
                [text], [windows_of_block], flanks=flanks, length=self.length
            )
            assessed = self.assess_tokens(tokens)
            expression.append(assessed.expression)
            trust.append(assessed.trust)
        return Profile(
            np.array([part.start + 1 for part in windows]),
            np.array([part.stop for part in windows]),
            np.concatenate(expression),
            joined(trust),
        )

    def predict_tokens(self, tokens: npt.ArrayLike) -> Expression:
        """Expression ``(N, n_media)`` of prepared tokens ``(N, length)``, a batch at a time.

        Raises:
            ValueError: If the tokens have another shape, or a number is not one of 0 to 4.
            NotFiniteError: If a prediction is NaN or infinite.
        """
        self._check_tokens(tokens)
        return self._predict(self._network(), tokens, len(self.media))

    def _check_tokens(self, tokens: npt.ArrayLike) -> None:
        if np.ndim(tokens) != 2 or np.shape(tokens)[1] != self.length:
            raise ValueError(
                f"tokens must be (N, {self.length}), as prepare() makes them of sequences; got "
                f"{np.shape(tokens)}"
            )

    def _network(self) -> nn.Module:
        """:attr:`fast`, made again if :attr:`model` has changed; :attr:`model` without it."""
        if self.fast is None:
            return self.model
        if self.built_from is not None and self.stamp != (stamp := stamp_of(self.model)):
            self.stamp = stamp
            if self.built_from != (state := state_of(self.model)):
                self.fast = _fast_form(self.model, self.device, self.precision)
                self.built_from, self.changed = state, True
        return self.fast

    def _predict(self, network: nn.Module, tokens: npt.ArrayLike, outputs: int) -> Expression:
        rows = as_rows(tokens)
        predicted = np.empty((len(rows), outputs), dtype=np.float32)
        with torch.inference_mode():
            for start in range(0, len(rows), self.batch_size):
                batch = np.array(sequence.as_tokens(rows[start : start + self.batch_size]))
                if batch.max(initial=0) > sequence.N_TOKEN:
                    raise ValueError(_not_a_base(batch, start))
                x_BCL = sequence.one_hot(torch.from_numpy(batch).to(self.device))
                part = network(x_BCL).float().cpu().numpy()
                if not (finite := np.isfinite(part).all(axis=1)).all():
                    raise NotFiniteError(start + int(np.argmin(finite)))
                predicted[start : start + len(batch)] = part
        return predicted

    def assess(
        self,
        sequences: sequence.Texts,
        *,
        flanks: sequence.Flanks = "auto",
        window: sequence.Window | None = None,
    ) -> Assessed:
        """Expression of each sequence, and its uncertainty if the model is calibrated.

        Arguments and errors as for :meth:`predict`.
        """
        return self.assess_tokens(self.prepare(sequences, flanks=flanks, window=window))

    def assess_tokens(self, tokens: npt.ArrayLike) -> Assessed:
        """:meth:`assess` for prepared tokens ``(N, L)``."""
        self._network()
        if self.card is None or self.card.calibration is None or self.changed:
            return Assessed(self.predict_tokens(tokens), None)
        expression, spread = self.predict_with_spread(tokens)
        return Assessed(
            expression,
            assess_predictions(self.card.calibration, self.media, tokens, expression, spread),
        )

    def predict_with_spread(self, tokens: npt.ArrayLike) -> tuple[Expression, Expression]:
        """Expression and standard deviation over members and strands, ``(N, n_media)`` each.

        Raises:
            ValueError: If the model is a run folder: it has no members.
        """
        network = self._network()
        if not isinstance(network, Ensemble):
            raise ValueError("only packed models know their spread; see `crmnet models pack`")
        self._check_tokens(tokens)
        both = WithSpread(network).eval()
        expression, spread = np.hsplit(self._predict(both, tokens, 2 * len(self.media)), 2)
        return expression, spread

    def predict_views(self, tokens: npt.ArrayLike) -> Views:
        """Predictions of each member for each strand, for prepared tokens ``(N, length)``.

        A run folder has one view. Errors as for :meth:`predict_tokens`.
        """
        self._check_tokens(tokens)
        network, outputs = self._network(), len(self.media)
        if not isinstance(network, Ensemble):
            return views_of(self._predict(network, tokens, outputs), network, outputs)
        views = AllViews(network).eval()
        predicted = self._predict(views, tokens, network.n_views * outputs)
        return views_of(predicted, network, outputs)

    def module(self, medium: str | None = None, insert_only: bool = False) -> nn.Module:
        """The network as a plain ``nn.Module``, which tangermeme, captum and ledidi can use.

        It is a copy in evaluation mode on :attr:`device`. It returns float32 predictions in the
        media's units, and gradients reach its input. Every layer of the bundled models has a
        DeepLIFT rule in tangermeme.

        Args:
            medium: The medium to predict, ``(B, 1)``; None predicts all, ``(B, n_media)``.
            insert_only: The input is one-hot inserts ``(B, 4, L)`` of one length L, such as 80;
                the module adds adapters and padding. Otherwise the input is complete constructs
                with padding, ``(B, 4, length)``, all zeros where the base is N. tangermeme's
                attributions and ledidi refuse N, so they need True.

        Raises:
            ValueError: If the medium is not known.
        """
        output = None if medium is None else self.medium_index(medium)
        module = PlainModule(self.model, output, self.length, insert_only=insert_only)
        return module.to(self.device)

    @property
    def flanks(self) -> sequence.Flanks:
        """How the training data were read, and so how commands read files without ``--flanks``.

        ``none`` if no adapters were added to them, else ``auto``.
        """
        return flanks_of(self.records)

    @property
    def members(self) -> int:
        """Networks of the ensemble; 1 for a run folder."""
        return len(self.model.members) if isinstance(self.model, Ensemble) else 1

    @property
    def identity(self) -> str:
        """A packed model's fingerprint, else or if weights changed the SHA-256 of the weights."""
        self._network()
        if self.card is not None and not self.changed:
            return self.card.fingerprint
        digest = hashlib.sha256()
        for name, value in self.model.state_dict().items():
            digest.update(name.encode() + value.cpu().numpy().tobytes())
        return digest.hexdigest()

    def medium_index(self, medium: str) -> int:
        """Index of the output for ``medium``."""
        return output_of(medium, self.media)

    def unit(self, medium: str) -> str | None:
        """Unit of the predictions for ``medium``; None if the training data do not state it."""
        return self.units.get(self.media[self.medium_index(medium)])


def _check_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}; got {value!r}")


def _not_a_base(tokens: sequence.Tokens, start: int) -> str:
    """The error about a token of a letter outside ACGTN; the rows are numbered from ``start``."""
    row, column = (int(found[0]) for found in np.nonzero(tokens > sequence.N_TOKEN))
    return (
        f"tokens must be A 0, C 1, G 2, T 3 or N 4; got {tokens[row, column]} at position "
        f"{column + 1} of sequence number {start + row + 1}"
    )


def _complete_model(loaded: LoadedModel) -> nn.Module:
    """The network of a run, or the ensemble of a packed model, in the units of its media."""
    card = loaded.card
    strands = card is not None and card.reverse_complement
    members: list[nn.Module] = []
    for number, (network, record) in enumerate(zip(loaded.networks, loaded.records, strict=True)):
        # The ensemble predicts both strands separately, so they count in the spread.
        if record.settings.train.average_strands and not strands:
            network = on_both_strands(network)
        scales = [record.scale[medium] for medium in record.media]
        member: nn.Module = Rescaled(network, [s.mean for s in scales], [s.sd for s in scales])
        own = record.media if card is None else card.media_of(number)
        if own != loaded.media or own != record.media or record.length != loaded.length:
            columns = [record.media.index(m) if m in own else None for m in loaded.media]
            member = Member(member, columns, record.length)
        members.append(member)
    if card is None:
        return members[0]
    return Ensemble(members, reverse_complement=strands, forward_only=card.forward_only)


def _fast_form(model: nn.Module, device: torch.device, precision: Precision) -> nn.Module:
    """A copy of a model with the inference form of each of its networks, in evaluation mode."""

    def form(part: nn.Module) -> nn.Module:
        if isinstance(part, Ensemble):
            return part.with_members([form(member) for member in part.members])
        if isinstance(part, Member):
            return Member(form(part.network), part.own_columns, part.length)
        if isinstance(part, BothStrands):
            return BothStrands(form(part.network))
        if isinstance(part, Rescaled):
            return Rescaled(form(part.network), part.mean.tolist(), part.sd.tolist())
        return for_inference(part, device, DTYPES[precision])

    return form(model).to(device).eval()


class Profile(NamedTuple):
    """Predictions along one sequence, one row per window."""

    start: npt.NDArray[np.int64]
    """``(W,)``, first base of each window in the given sequence, from 1."""
    end: npt.NDArray[np.int64]
    """``(W,)``, last base of each window."""
    expression: Expression
    """``(W, n_media)``."""
    trust: Trust | None
    """None if the model is not calibrated."""


class Assessed(NamedTuple):
    """Predictions and their uncertainty."""

    expression: Expression
    """``(N, n_media)``."""
    trust: Trust | None
    """None if the model is not calibrated."""
