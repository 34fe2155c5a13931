"""What each base contributes to a prediction: ``(B, 4, L)`` for any network and any medium.

All methods take a plain module, one-hot ``(B, 4, L)`` → ``(B, M)``, and a weight for each of its
outputs: one for a medium, +1 and −1 for the difference of two. What comes back is zero except at
the bases that are there, and zero at the adapters, which are the same in every promoter. Unless
told otherwise it is without composition: see :func:`without_composition`.

    gradient     input × gradient (the paper's saliency)
    masked       the same, as the paper draws it: see :func:`paper_mask`
    integrated   integrated gradients (Sundararajan et al. 2017) from shuffles of the sequence
    deeplift     DeepLIFT/SHAP through tangermeme, from the same shuffles
    ism          in-silico mutagenesis: what the mean of the three other bases would lose
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, get_args

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from crmnet import sequence
from crmnet.choices import Method
from crmnet.data.dataset import BIN_UNIT, UNKNOWN_UNIT
from crmnet.models.crmnet.network import ReadOut
from crmnet.models.crmnet.stem import MotifStem
from crmnet.models.layers import BiLSTM, MultiHeadAttention, SqueezeExcitation
from crmnet.prediction.predictor import Predictor

Attributions = npt.NDArray[np.float32]
METHODS = get_args(Method)
MASK_BELOW = 0.1
"""Saliency under this is not drawn (paper, section 2.6)."""
WITHOUT_RULE = (SqueezeExcitation, MultiHeadAttention, MotifStem, BiLSTM, ReadOut)
"""Layers that no rule of DeepLIFT's own fits: most multiply what they compute from the sequence."""
POINTS = 8
"""Points at which the gradient of such a layer is averaged on the way from its reference."""
INSERT = slice(len(sequence.ADAPTER_5), len(sequence.ADAPTER_5) + 80)
"""The middle 80 bases of a construct."""


@dataclass(frozen=True)
class AttributeOptions:
    """How to attribute."""

    method: str = "ism"
    beyond_composition: bool = True
    """Without what each letter does wherever it stands; ``masked`` is the paper's, and keeps it."""
    shuffles: int = 10
    """Shuffled references of each sequence (integrated, deeplift); pairs of bases are kept."""
    steps: int = 25
    """Points on the way from a reference (integrated)."""
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
    """Attributions of some sequences, in the unit of expression."""

    values: Attributions
    """``(B, 4, L)``, zero but at the bases that are there, and at the adapters."""
    delta: npt.NDArray[np.float32] | None
    """``(B,)`` how far the values, composition included, are from adding up to prediction less mean
    reference, for the methods that promise it; else None."""
    hypothetical: Attributions | None = None
    """``(B, 4, L)`` the same for every letter at every place, as TF-MoDISco takes it; None of
    ``masked``, which is a picture."""


class LetterAttributions(NamedTuple):
    """What a method says of every letter at every place."""

    plain: npt.NDArray[np.floating]
    """``(B, 4, L)``: at the base that is there, the method's own attribution."""
    delta: npt.NDArray[np.float32] | None = None


class Combined(nn.Module):
    """One number from a network's outputs: ``(B, 4, L)`` → ``(B, 1)``."""

    weights: Tensor

    def __init__(self, network: nn.Module, weights: Sequence[float]) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("weights", torch.tensor(weights, dtype=torch.float32)[:, None])

    def forward(self, x_BCL: Tensor) -> Tensor:
        return self.network(x_BCL) @ self.weights


def output_weights(predictor: Predictor, medium: str | None, minus: str | None = None) -> list[int]:
    """Weights of the outputs for a medium, or for one less another.

    Raises:
        ValueError: If the model does not know a medium, or is not told which of several.
    """
    if medium is None and len(predictor.media) > 1:
        raise ValueError(f"choose one of the model's media: {', '.join(predictor.media)}")
    weights = [0] * len(predictor.media)
    weights[predictor.medium_index(medium) if medium else 0] += 1
    if minus is not None:
        weights[predictor.medium_index(minus)] -= 1
    if not any(weights):
        raise ValueError(f"{medium} less {minus} is one output less itself: nothing to explain")
    return weights


def unit_of(predictor: Predictor, medium: str | None, minus: str | None = None) -> str | None:
    """Unit of what is attributed: ``bins``, another of the training labels, or None, not known."""
    names = [medium or predictor.media[0], *([minus] if minus else [])]
    units = {predictor.unit(name) for name in names}
    unit = units.pop() if len(units) == 1 else None
    return {BIN_UNIT: "bins", UNKNOWN_UNIT: None}.get(unit or UNKNOWN_UNIT, unit)


def attribute(
    predictor: Predictor,
    tokens: sequence.Tokens,
    *,
    medium: str | None = None,
    minus: str | None = None,
    options: AttributeOptions = DEFAULTS,
) -> Attribution:
    """Attribute the predictions of prepared sequences to their bases.

    Args:
        predictor: The model.
        tokens: ``(B, L)`` from :func:`crmnet.sequence.prepare`.
        medium: Whose prediction; may be left out where the model has one output.
        minus: Explain how much more ``medium`` is predicted than this one.
        options: Method and its settings.

    Raises:
        ValueError: If a medium or method is not known.
        ModuleNotFoundError: For ``deeplift`` without the extra ``interpret``.
    """
    weights = output_weights(predictor, medium, minus)
    if options.method == "ism":
        changes = mutagenesis(predictor, tokens, weights)
        found = LetterAttributions((changes - changes.mean(axis=1, keepdims=True)) * 4 / 3)
    else:
        network = Combined(predictor.model, weights).to(predictor.device).eval()
        function = {"integrated": _integrated, "deeplift": _deeplift}.get(options.method, _gradient)
        found = function(network, np.array(tokens), options, predictor.batch_size)
    if options.method == "masked":
        return Attribution(paper_mask(_present(found.plain, tokens), tokens), None)
    table = without_composition(found.plain, tokens) if options.beyond_composition else found.plain
    table = table * _inside(tokens.shape[1])
    return Attribution(_present(table, tokens), found.delta, table.astype(np.float32))


def mutagenesis(
    predictor: Predictor, tokens: sequence.Tokens, weights: Sequence[int]
) -> Attributions:
    """Change of the prediction by every single substitution, ``(B, 4, L)``.

    0 at the base that is there, where it is N, and at the adapters: the 80 bases of the insert have
    240 mutants, which the predictor's fast form answers for.
    """
    changes = np.zeros((len(tokens), 4, tokens.shape[1]), dtype=np.float32)
    vector = np.array(weights, dtype=np.float32)
    for row, letters in enumerate(np.asarray(tokens)):
        known = (letters < sequence.N_TOKEN) & _inside(len(letters))
        base, place = np.nonzero((np.arange(4)[:, None] != letters) & known)
        mutants = np.repeat(letters[None], len(place) + 1, axis=0)
        mutants[np.arange(len(place)), place] = base
        predicted = predictor.predict_tokens(mutants) @ vector
        changes[row, base, place] = predicted[:-1] - predicted[-1]
    return changes


def _inside(length: int) -> npt.NDArray[np.bool_]:
    """``(L,)`` true at the insert's places."""
    inside = np.zeros(length, dtype=bool)
    inside[INSERT] = True
    return inside


def without_composition(table: npt.NDArray[np.floating], tokens: sequence.Tokens) -> Attributions:
    """What letters say where they stand, beyond what they say anywhere in that promoter.

    A promoter's G + C alone moves expression by bins, in the simulated cell as in the real library,
    so every base gets a share of it that hides the sites. From each place the mean over the four
    letters is taken (one-hot inputs never leave the plane on which it is constant: Majdandzic et
    al. 2023), and then from each letter its median over the insert's places.

    Args:
        table: ``(B, 4, L)`` a value for every letter at every place.
        tokens: ``(B, L)``.

    Returns:
        ``(B, 4, L)``.
    """
    centred = table - table.mean(axis=1, keepdims=True)
    for row, letters in zip(centred, tokens[:, INSERT], strict=True):
        known = row[:, INSERT][:, letters < sequence.N_TOKEN]
        if known.size:
            row -= np.median(known, axis=1, keepdims=True)
    return centred.astype(np.float32)


def paper_mask(values: Attributions, tokens: sequence.Tokens) -> Attributions:
    """The paper's filter of saliency for its logos and its Figure 5F (section 2.6).

    Per sequence, what is below the mean over its known bases is set to 0, then what is below 0.1;
    adapters are set to 0, so that only the middle 80 bases are left.
    """
    known = tokens < sequence.N_TOKEN
    along = values.sum(axis=1)
    mean = along.sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    kept = (along >= mean[:, None]) & (along >= MASK_BELOW) & _inside(tokens.shape[1])
    return values * kept[:, None, :]


def _present(values: npt.NDArray[np.floating], tokens: sequence.Tokens) -> Attributions:
    """``values`` at the bases that are there, 0 elsewhere; ``(B, 4, L)``."""
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


def _gradient(
    network: nn.Module, tokens: sequence.Tokens, options: AttributeOptions, batch_size: int
) -> LetterAttributions:
    parts = []
    for start in range(0, len(tokens), batch_size):
        x_BCL = _one_hot(network, tokens[start : start + batch_size])
        parts.append(gradients(network, x_BCL).cpu().numpy())
    return LetterAttributions(np.concatenate(parts))


def references(tokens: sequence.Tokens, options: AttributeOptions) -> sequence.Tokens:
    """``(B, R, L)`` shuffles that keep each sequence's pairs of bases; adapters are not moved.

    Adapters are the same in all sequences, so a reference without them would explain the assay's
    construct and not the promoter.
    """
    inserts = np.repeat(tokens[:, INSERT], options.shuffles, axis=0)
    shuffled = np.repeat(tokens, options.shuffles, axis=0)
    shuffled[:, INSERT] = sequence.shuffle(inserts, options.seed, 2)
    return shuffled.reshape(len(tokens), options.shuffles, -1)


def _integrated(
    network: nn.Module, tokens: sequence.Tokens, options: AttributeOptions, batch_size: int
) -> LetterAttributions:
    values = np.zeros((len(tokens), 4, tokens.shape[1]), dtype=np.float32)
    delta = np.zeros(len(tokens), dtype=np.float32)
    # Midpoints of equal steps: exact for a quadratic, and neither end is taken twice.
    points = ((torch.arange(options.steps) + 0.5) / options.steps).to(_device(network))
    for row, others in enumerate(references(tokens, options)):
        here, there = _one_hot(network, tokens[row : row + 1]), _one_hot(network, others)
        path = there[:, None] + points[None, :, None, None] * (here - there)[:, None]
        steps = torch.cat(
            [gradients(network, part) for part in torch.split(path.flatten(0, 1), batch_size)]
        )
        slope = steps.view(path.shape).mean(dim=1)
        gap = (_predicted(network, here, 1) - _predicted(network, there, batch_size).mean()).item()
        delta[row] = (slope * (here - there)).mean(dim=0).sum().item() - gap
        values[row] = _of_every_letter(slope, there).mean(dim=0).cpu().numpy()
    return LetterAttributions(values, delta)


def _predicted(network: nn.Module, x_BCL: Tensor, batch_size: int) -> Tensor:
    """What a one-output network says, ``(B,)``, a batch at a time."""
    with torch.inference_mode():
        return torch.cat([network(part)[:, 0] for part in torch.split(x_BCL, batch_size)])


def _of_every_letter(slope_BCL: Tensor, other_BCL: Tensor) -> Tensor:
    """What each letter would contribute in place of the reference's, ``(..., 4, L)``."""
    return slope_BCL - (slope_BCL * other_BCL).sum(dim=-2, keepdim=True)


def _deeplift(
    network: nn.Module, tokens: sequence.Tokens, options: AttributeOptions, batch_size: int
) -> LetterAttributions:
    try:
        from tangermeme.deep_lift_shap import deep_lift_shap, integrated_gradients_op
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "DeepLIFT/SHAP needs tangermeme: pip install 'crmnet[interpret]'"
        ) from error
    x_BCL = _one_hot(network, tokens)
    others = references(tokens, options)
    r_BRCL = _one_hot(network, others.reshape(-1, tokens.shape[1])).view(*others.shape[:2], 4, -1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about deltas, which are reported
        multipliers = deep_lift_shap(
            network, x_BCL, references=r_BRCL, batch_size=batch_size, raw_outputs=True,
            device=_device(network), warning_threshold=float("inf"), only_warn=True,
            additional_nonlinear_ops=dict.fromkeys(WITHOUT_RULE, integrated_gradients_op(POINTS)),
        )  # fmt: skip
    slope_BRCL = multipliers.detach().to(r_BRCL.device)
    given = (slope_BRCL * (x_BCL[:, None] - r_BRCL)).mean(dim=1)
    base = _predicted(network, r_BRCL.flatten(0, 1), batch_size).view(others.shape[:2])
    gap = _predicted(network, x_BCL, batch_size) - base.mean(dim=1)
    delta = (given.sum(dim=(1, 2)) - gap).cpu().numpy()
    return LetterAttributions(_of_every_letter(slope_BRCL, r_BRCL).mean(dim=1).cpu().numpy(), delta)


def randomised(predictor: Predictor, seed: int = 0) -> Predictor:
    """The same network with every weight shuffled within its tensor: it knows nothing.

    The sanity check of Adebayo et al. (2018): attributions that look the same for it say nothing
    about the trained network.
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
