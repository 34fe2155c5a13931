"""Attributions: the contribution of each base to a prediction, for any network and medium.

:func:`attribute` takes a predictor and sequences and returns ``(B, 4, L)`` in the unit of
expression, for the tables, logos and motif searches of this folder. All methods take a plain
module, one-hot ``(B, 4, L)`` → ``(B, M)``, and a weight for each output: 1 for one medium, +1 and
−1 for the difference of two. Attributions are non-zero only at the observed bases of the insert, of
any length and with any adapters (:mod:`crmnet.interpretation.inserts`). By default the effect of
composition is removed (:func:`without_composition`).

    gradient     input × gradient (saliency in the paper)
    masked       the same with the paper's filter: :func:`paper_mask`
    integrated   integrated gradients (Sundararajan et al. 2017), shuffled sequences as references
    deeplift     DeepLIFT/SHAP by tangermeme, with the same references
    ism          in-silico mutagenesis: prediction minus the mean over the three other bases
"""

from __future__ import annotations

import copy
import dataclasses
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, cast, get_args

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from crmnet import sequence
from crmnet.choices import Method
from crmnet.data.dataset import BIN_UNIT, UNKNOWN_UNIT
from crmnet.interpretation.inserts import Inserts, find_inserts
from crmnet.models.deeplift_form import for_deeplift
from crmnet.prediction.predictor import Predictor

Attributions = npt.NDArray[np.float32]
METHODS = get_args(Method)
MASK_BELOW = 0.1
"""Smallest saliency that is drawn (paper, section 2.6)."""


@dataclass(frozen=True)
class AttributeOptions:
    """Method of attribution and its settings."""

    method: str = "ism"
    """One of :data:`METHODS`."""
    beyond_composition: bool = True
    """Remove the average effect of each base (composition). ``masked`` keeps it, like the paper."""
    shuffles: int = 10
    """Shuffled references of each sequence (integrated, deeplift), with the same dinucleotides."""
    steps: int = 25
    """Points between reference and sequence (integrated)."""
    seed: int = 0

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise ValueError(f"method must be one of {', '.join(METHODS)}; got {self.method!r}")
        if self.shuffles < 1 or self.steps < 1:
            raise ValueError(
                f"shuffles and steps must be at least 1; got {self.shuffles} and {self.steps}"
            )


DEFAULTS = AttributeOptions()


class Attribution(NamedTuple):
    """Attributions of B sequences, in the unit of expression."""

    values: Attributions
    """``(B, 4, L)``, non-zero only at the observed bases of the insert."""
    delta: npt.NDArray[np.float32] | None
    """``(B,)`` completeness error: the sum of the attributions, composition included, minus the
    difference between the prediction and the mean prediction of the references. None for methods
    without this property."""
    hypothetical: Attributions | None
    """``(B, 4, L)``: the attribution that each possible base would have at each position of the
    insert; TF-MoDISco needs it. None for ``masked``, which is only for drawing."""
    inserts: Inserts
    """Where the insert of each sequence lies."""


class LetterAttributions(NamedTuple):
    """Result of one method, before composition is removed."""

    plain: npt.NDArray[np.floating]
    """``(B, 4, L)`` for every base; at an observed base, the attribution of the method."""
    delta: npt.NDArray[np.float32] | None = None


class Combined(nn.Module):
    """A network whose outputs are combined into one: ``(B, 4, L)`` → ``(B, 1)``."""

    weights: Tensor

    def __init__(self, network: nn.Module, weights: Sequence[float]) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("weights", torch.tensor(weights, dtype=torch.float32)[:, None])

    def forward(self, x_BCL: Tensor) -> Tensor:
        return self.network(x_BCL) @ self.weights


def output_weights(predictor: Predictor, medium: str | None, minus: str | None = None) -> list[int]:
    """Weights of the model's outputs for ``medium``, or for ``medium`` minus another medium.

    Raises:
        ValueError: If the model has no such medium, or ``medium`` is None and it has several.
    """
    if medium is None and len(predictor.media) > 1:
        raise ValueError(
            f"choose one of the model's media with --medium (from Python, medium=): "
            f"{' or '.join(predictor.media)}"
        )
    weights = [0] * len(predictor.media)
    weights[predictor.medium_index(medium) if medium else 0] += 1
    if minus is not None:
        weights[predictor.medium_index(minus)] -= 1
    if not any(weights):
        raise ValueError(f"{medium} minus {minus} is one output minus itself: nothing to explain")
    return weights


def media_phrase(predictor: Predictor, medium: str | None, minus: str | None = None) -> str:
    """``in complex``, or ``defined minus complex`` for a difference, as text for a title."""
    medium = medium or predictor.media[0]
    return f"{medium} minus {minus}" if minus else f"in {medium}"


def unit_of(predictor: Predictor, medium: str | None, minus: str | None = None) -> str | None:
    """Unit of the attributions: ``bins``, another unit of training labels, or None if unknown."""
    names = [medium or predictor.media[0], *([minus] if minus else [])]
    units = {predictor.unit(name) for name in names}
    unit = units.pop() if len(units) == 1 else None
    return {BIN_UNIT: "bins", UNKNOWN_UNIT: None}.get(unit or UNKNOWN_UNIT, unit)


def attribute(
    predictor: Predictor,
    sequences: sequence.Texts | npt.ArrayLike,
    *,
    medium: str | None = None,
    minus: str | None = None,
    method: str | None = None,
    options: AttributeOptions = DEFAULTS,
    given: npt.ArrayLike | None = None,
    window: sequence.Window | None = None,
) -> Attribution:
    """Attribute the predictions of sequences to their bases.

    Args:
        predictor: The model.
        sequences: Inserts or complete constructs as text, as :meth:`Predictor.predict` takes them,
            or tokens ``(B, L)`` from :meth:`Predictor.prepare`.
        medium: The medium whose prediction is explained; None if the model has one output.
        minus: Explain the prediction for ``medium`` minus that for this medium.
        method: One of :data:`METHODS`; None takes that of the options.
        options: Method and its settings.
        given: ``(B, 2)``, start and end of each given sequence in ``sequences``, from
            :func:`crmnet.sequence.given_spans`; None if the tokens have no added adapters.
        window: The end of a text that is explained if the text is too long for the network, as for
            :meth:`Predictor.prepare`; positions are those of the complete text.

    Raises:
        ValueError: If a medium or method is not known, or a sequence cannot be read.
        ModuleNotFoundError: For ``deeplift`` without the extra ``interpret``.
    """
    if method is not None:
        options = dataclasses.replace(options, method=method)
    if np.ndim(cast(npt.ArrayLike, sequences)) > 1:
        tokens = sequence.as_tokens(cast(npt.ArrayLike, sequences))
    else:
        texts = sequence.as_list(cast(sequence.Texts, sequences))
        tokens = predictor.prepare(texts, window=window)
        parts = [sequence.windows(text, window or "first", "auto", predictor.length)
                 for text in texts]  # fmt: skip
        given = sequence.window_spans(texts, parts)
    inserts = find_inserts(tokens, given)
    inside = inserts.inside(tokens.shape[1])
    weights = output_weights(predictor, medium, minus)
    if options.method == "ism":
        changes = mutagenesis(predictor, tokens, weights, inside)
        return from_mutagenesis(changes, tokens, inserts, options)
    network = Combined(predictor.model, weights).to(predictor.device).eval()
    if function := {"integrated": _integrated, "deeplift": _deeplift}.get(options.method):
        shuffled = references(tokens, options, inserts)
        letter_attributions = function(
            network, np.array(tokens), shuffled, options, predictor.batch_size
        )
    else:
        letter_attributions = _gradient(network, np.array(tokens), predictor.batch_size)
    if options.method == "masked":
        masked = paper_mask(_present(letter_attributions.plain, tokens), tokens, inside)
        return Attribution(masked, None, None, inserts)
    return _finished(letter_attributions, tokens, inserts, options)


def from_mutagenesis(
    changes: npt.ArrayLike,
    tokens: npt.ArrayLike,
    inserts: Inserts,
    options: AttributeOptions = DEFAULTS,
) -> Attribution:
    """Attributions by *ism* from effects that are already known.

    Args:
        changes: ``(B, 4, L)``, change of the prediction by every single substitution, as
            :func:`mutagenesis` gives them.
        tokens: ``(B, L)`` constructs.
        inserts: Where their inserts lie.
        options: Whether composition is kept.
    """
    table = np.asarray(changes)
    plain = (table - table.mean(axis=1, keepdims=True)) * 4 / 3
    return _finished(LetterAttributions(plain), sequence.as_tokens(tokens), inserts, options)


def _finished(
    found: LetterAttributions, tokens: sequence.Tokens, inserts: Inserts, options: AttributeOptions
) -> Attribution:
    """Attributions of the bases of the inserts, without the effect of composition."""
    inside = inserts.inside(tokens.shape[1])
    values = found.plain
    if options.beyond_composition:
        values = without_composition(values, tokens, inside)
    values = values * inside[:, None]
    return Attribution(_present(values, tokens), found.delta, values.astype(np.float32), inserts)


def _inside(tokens: sequence.Tokens) -> npt.NDArray[np.bool_]:
    """``(B, L)`` True at the positions of the inserts."""
    return find_inserts(tokens).inside(tokens.shape[1])


def mutagenesis(
    predictor: Predictor,
    tokens: npt.ArrayLike,
    weights: Sequence[int],
    inside: npt.NDArray[np.bool_] | None = None,
) -> Attributions:
    """Change of the prediction by every single substitution, ``(B, 4, L)``.

    0 at observed bases, at N and at the adapters. The 80 bases of an insert have 240 mutants, which
    are predicted with the inference form of the model. ``inside`` ``(B, L)`` is True at the
    positions to mutate; None means the inserts.
    """
    tokens = sequence.as_tokens(tokens)
    inside = _inside(tokens) if inside is None else inside
    changes = np.zeros((len(tokens), 4, tokens.shape[1]), dtype=np.float32)
    vector = np.array(weights, dtype=np.float32)
    for row, letters in enumerate(tokens):
        is_mutated = (letters < sequence.N_TOKEN) & inside[row]
        base, position = np.nonzero((np.arange(4)[:, None] != letters) & is_mutated)
        mutants = np.repeat(letters[None], len(position) + 1, axis=0)
        mutants[np.arange(len(position)), position] = base
        predicted = predictor.predict_tokens(mutants) @ vector
        changes[row, base, position] = predicted[:-1] - predicted[-1]
    return changes


def without_composition(
    table: npt.ArrayLike, tokens: npt.ArrayLike, inside: npt.NDArray[np.bool_] | None = None
) -> Attributions:
    """Attributions without the average effect of each base in its promoter.

    The G + C content of a promoter alone changes expression by several bins, in the simulated cell
    and in the real library. Every base receives a part of this effect, which hides the sites. Two
    values are subtracted: at each position the mean over the four bases, because one-hot inputs
    stay in the plane on which it is constant (Majdandzic et al. 2023); then from each base its
    median over the positions of the insert.

    Args:
        table: ``(B, 4, L)`` a value for every possible base at every position.
        tokens: ``(B, L)``.
        inside: ``(B, L)`` True at the positions of the inserts; None finds them.

    Returns:
        ``(B, 4, L)`` float32.
    """
    table, tokens = np.asarray(table), sequence.as_tokens(tokens)
    inside = _inside(tokens) if inside is None else inside
    centred = table - table.mean(axis=1, keepdims=True)
    for row, is_known in zip(centred, inside & (tokens < sequence.N_TOKEN), strict=True):
        known_bases = row[:, is_known]
        if known_bases.size:
            row -= np.median(known_bases, axis=1, keepdims=True)
    return centred.astype(np.float32)


def paper_mask(
    values: npt.ArrayLike, tokens: npt.ArrayLike, inside: npt.NDArray[np.bool_] | None = None
) -> Attributions:
    """The paper's filter of saliency, used in its logos and in Figure 5F (section 2.6).

    Values below the mean over the known bases of a sequence are set to 0, then values below 0.1.
    Values outside the insert (``inside`` ``(B, L)`` is False; None finds the inserts) are also set
    to 0.
    """
    values, tokens = np.asarray(values), sequence.as_tokens(tokens)
    inside = _inside(tokens) if inside is None else inside
    is_known = tokens < sequence.N_TOKEN
    base_values = values.sum(axis=1)
    mean = base_values.sum(axis=1) / np.maximum(is_known.sum(axis=1), 1)
    is_drawn = (base_values >= mean[:, None]) & (base_values >= MASK_BELOW) & inside
    return values * is_drawn[:, None, :]


def _present(values: npt.NDArray[np.floating], tokens: sequence.Tokens) -> Attributions:
    """``values`` at the observed bases, 0 elsewhere; ``(B, 4, L)``."""
    return (values * (np.arange(4)[:, None] == tokens[:, None, :])).astype(np.float32)


def gradients(network: nn.Module, x_BCL: Tensor) -> Tensor:
    """Gradient of a one-output network at ``x_BCL``, ``(B, 4, L)``."""
    x_BCL = x_BCL.detach().requires_grad_()
    with torch.enable_grad():
        (gradient,) = torch.autograd.grad(network(x_BCL).sum(), x_BCL)
    return gradient.detach()


def _device(network: nn.Module) -> torch.device:
    return next(network.buffers()).device


def _one_hot(network: nn.Module, tokens: sequence.Tokens) -> Tensor:
    return sequence.one_hot(torch.from_numpy(np.array(tokens)).to(_device(network)))


def _gradient(network: nn.Module, tokens: sequence.Tokens, batch_size: int) -> LetterAttributions:
    batches = []
    for start in range(0, len(tokens), batch_size):
        x_BCL = _one_hot(network, tokens[start : start + batch_size])
        batches.append(gradients(network, x_BCL).cpu().numpy())
    return LetterAttributions(np.concatenate(batches))


def references(
    tokens: npt.ArrayLike, options: AttributeOptions, inserts: Inserts | None = None
) -> sequence.Tokens:
    """Dinucleotide shuffles ``(B, R, L)`` of the inserts; the adapters are not shuffled.

    All sequences have the same adapters. With references without adapters, attributions would
    explain the construct of the assay instead of the promoter. The seed of a shuffle includes the
    bases of the insert, so that no attribution depends on the other sequences of a file.
    """
    tokens = sequence.as_tokens(tokens)
    inserts = find_inserts(tokens) if inserts is None else inserts
    shuffled = np.repeat(tokens[:, None], options.shuffles, axis=1)
    for row, (start, stop) in enumerate(zip(inserts.start, inserts.stop, strict=True)):
        seed = [options.seed, *tokens[row, start:stop].tolist()]
        shuffled[row, :, start:stop] = sequence.shuffle(shuffled[row, :, start:stop], seed, 2)
    return shuffled


def _integrated(
    network: nn.Module,
    tokens: sequence.Tokens,
    shuffled: sequence.Tokens,
    options: AttributeOptions,
    batch_size: int,
) -> LetterAttributions:
    values = np.zeros((len(tokens), 4, tokens.shape[1]), dtype=np.float32)
    delta = np.zeros(len(tokens), dtype=np.float32)
    # Midpoints of equal steps: exact for a quadratic function; neither end is used twice.
    fractions = ((torch.arange(options.steps) + 0.5) / options.steps).to(_device(network))
    for row, shuffled_row in enumerate(shuffled):
        x_BCL, r_RCL = _one_hot(network, tokens[row : row + 1]), _one_hot(network, shuffled_row)
        points = r_RCL[:, None] + fractions[None, :, None, None] * (x_BCL - r_RCL)[:, None]
        batches = torch.split(points.flatten(0, 1), batch_size)
        slopes = torch.cat([gradients(network, batch) for batch in batches])
        slope_RCL = slopes.view(points.shape).mean(dim=1)
        mean_reference = _predicted(network, r_RCL, batch_size).mean()
        difference = (_predicted(network, x_BCL, 1) - mean_reference).item()
        delta[row] = (slope_RCL * (x_BCL - r_RCL)).mean(dim=0).sum().item() - difference
        values[row] = _for_every_base(slope_RCL, r_RCL).mean(dim=0).cpu().numpy()
    return LetterAttributions(values, delta)


def _predicted(network: nn.Module, x_BCL: Tensor, batch_size: int) -> Tensor:
    """Predictions of a one-output network, ``(B,)``, in batches."""
    with torch.inference_mode():
        return torch.cat([network(batch)[:, 0] for batch in torch.split(x_BCL, batch_size)])


def _for_every_base(slope_BCL: Tensor, other_BCL: Tensor) -> Tensor:
    """Contribution of each possible base compared with the reference's base, ``(..., 4, L)``."""
    return slope_BCL - (slope_BCL * other_BCL).sum(dim=-2, keepdim=True)


def _deeplift(
    network: nn.Module,
    tokens: sequence.Tokens,
    shuffled: sequence.Tokens,
    options: AttributeOptions,
    batch_size: int,
) -> LetterAttributions:
    try:
        from tangermeme.deep_lift_shap import deep_lift_shap
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "DeepLIFT/SHAP needs tangermeme: pip install 'crmnet[interpret]'"
        ) from error
    x_BCL = _one_hot(network, tokens)
    r_NCL = _one_hot(network, shuffled.reshape(-1, tokens.shape[1]))
    r_BRCL = r_NCL.view(*shuffled.shape[:2], 4, -1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tangermeme warns of deltas, which are reported here
        multipliers = deep_lift_shap(
            for_deeplift(network), x_BCL, references=r_BRCL, batch_size=batch_size,
            raw_outputs=True, device=_device(network), warning_threshold=float("inf"),
            only_warn=True,
        )  # fmt: skip
    slope_BRCL = multipliers.detach().to(r_BRCL.device)
    summed = (slope_BRCL * (x_BCL[:, None] - r_BRCL)).mean(dim=1)
    mean_reference = _predicted(network, r_NCL, batch_size).view(shuffled.shape[:2]).mean(dim=1)
    difference = _predicted(network, x_BCL, batch_size) - mean_reference
    delta = (summed.sum(dim=(1, 2)) - difference).cpu().numpy()
    return LetterAttributions(_for_every_base(slope_BRCL, r_BRCL).mean(dim=1).cpu().numpy(), delta)


def randomised(predictor: Predictor, seed: int = 0) -> Predictor:
    """The same network with the weights of each tensor shuffled: it has learned nothing.

    For the sanity check of Adebayo et al. (2018): a method whose attributions look the same for
    this network does not explain the trained network.
    """
    model = copy.deepcopy(predictor.model)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in model.parameters():
            order = torch.randperm(weight.numel(), generator=generator)
            weight.copy_(weight.flatten()[order.to(weight.device)].view_as(weight))
    return Predictor(
        model, predictor.media, predictor.device, predictor.batch_size, predictor.length
    )
