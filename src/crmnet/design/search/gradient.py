"""Gradient-based design by ledidi: edits as Gumbel-softmax samples, improved by gradient descent.

Each step treats one chain. ledidi (Schreiber et al. 2020, 2025) maximises the utility minus the
penalty on unusual composition, and minimises the number of edits. Its samples are then evaluated as
those of all methods. Samples that break a constraint are moved to the nearest sequence that meets
all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.util import find_spec

import numpy as np
import torch
from torch import Tensor, nn

from crmnet.data.media import output_of
from crmnet.design.constraints import AwayFrom
from crmnet.design.objective import NEAR_LIMIT, Objective
from crmnet.design.problem import Problem, descend
from crmnet.design.search.method import Arrays, anchors_of, sorted_state
from crmnet.sequence import ADAPTER_3, ADAPTER_5, Tokens, one_hot
from crmnet.statistics.uncertainty import InputLimits


@dataclass(frozen=True)
class Gradient:
    """Settings of ledidi."""

    samples: int = 16
    """Sequences sampled in each iteration."""
    iterations: int = 200
    """Largest number of iterations for a chain."""
    edit_weight: float = 0.01
    """Units of expression that an edit costs."""
    learning_rate: float = 1.0
    steps: int = 0
    """One step per chain."""

    def begin(self, problem: Problem, rng: np.random.Generator) -> Arrays:
        """Each chain is its start.

        Raises:
            ModuleNotFoundError: If ledidi is not installed.
            ValueError: If the inserts are not in the assay's construct.
        """
        if find_spec("ledidi") is None:
            raise ModuleNotFoundError(
                "--method gradient needs ledidi, which is not installed: pip install "
                "'crmnet[design]'"
            )
        both = (problem.flanks.left, problem.flanks.right) == (ADAPTER_5, ADAPTER_3)
        if not (both or problem.oracle.bare):
            raise ValueError("--method gradient needs both adapters; choose another method")
        chains = np.arange(problem.starts.chains)
        fitness = problem.fitness(problem.starts.tokens, chains)[:, None]
        tokens = problem.starts.tokens[:, None].repeat(self.samples + 1, axis=1)
        return {
            "tokens": tokens,
            "fitness": fitness.repeat(self.samples + 1, axis=1),
            "done": np.zeros(len(tokens), dtype=bool),
        }

    def advance(
        self, problem: Problem, state: Arrays, rng: np.random.Generator, progress: float
    ) -> Arrays:
        """Let ledidi design from the next start."""
        chain = int(np.argmin(state["done"]))
        samples = self._samples(problem, chain, int(rng.integers(2**31)))
        pool = np.concatenate([problem.starts.tokens[chain][None], samples])
        numbers = np.full(len(pool), chain)
        anchors = anchors_of(problem, state)
        starts = replace(problem.starts.take(numbers), tokens=pool)
        rules = problem.constraints
        if anchors is not None and chain > 0:
            rules = (*rules, AwayFrom(problem.distance, anchors[:chain], "earlier designs"))
        moved, _ = descend(replace(problem, starts=starts, constraints=rules), rng)
        found = sorted_state(moved[None], problem.fitness(moved, numbers, anchors)[None])
        tokens, fitness, done = (state[key].copy() for key in ("tokens", "fitness", "done"))
        tokens[chain], fitness[chain], done[chain] = found["tokens"], found["fitness"], True
        return {"tokens": tokens, "fitness": fitness, "done": done}

    def finished(self, state: Arrays, step: int) -> bool:
        """Whether every chain had its turn."""
        return bool(state["done"].all())

    def _samples(self, problem: Problem, chain: int, seed: int) -> Tokens:
        """``(samples, W)`` designs of ledidi from the start of a chain."""
        import ledidi

        starts, predictor = problem.starts, problem.oracle.predictor
        length = int(starts.lengths[chain])
        bare = problem.oracle.bare
        module = predictor.model if bare else predictor.module(insert_only=True)
        network: nn.Module = Utility(module, problem, float(starts.target[chain]))
        network = network.to(predictor.device).eval()
        x_BCL = one_hot(torch.from_numpy(starts.tokens[chain : chain + 1, :length].copy()))
        x_BCL = x_BCL.to(predictor.device)
        fixed = torch.from_numpy(~starts.editable[chain, :length]).to(predictor.device)
        designer = ledidi.Ledidi(
            network, shape=x_BCL.shape[1:], output_loss=_negative_mean, l=self.edit_weight,
            batch_size=self.samples, max_iter=self.iterations, lr=self.learning_rate,
            early_stopping_iter=self.iterations // 2, input_mask=fixed, verbose=False,
            random_state=seed,
        ).to(predictor.device)  # fmt: skip
        with torch.enable_grad():
            found = designer.fit_transform(x_BCL, torch.zeros(1, 1, device=predictor.device))
        bases = found.detach().argmax(dim=1).cpu().numpy().astype(np.uint8)
        samples = np.repeat(starts.tokens[chain][None], len(bases), axis=0)
        samples[:, :length] = bases
        return samples


def _negative_mean(predicted: Tensor, wanted: Tensor) -> Tensor:
    return -predicted.mean()


class Utility(nn.Module):
    """Utility minus the penalty on composition, differentiable: ``(B, 4, L)`` → ``(B, 1)``."""

    def __init__(self, network: nn.Module, problem: Problem, target: float) -> None:
        super().__init__()
        self.network, self.target = network, target
        self.objective: Objective = problem.objective
        media = problem.oracle.media
        self.columns = [output_of(medium, media) for medium in self.objective.media]
        limits = problem.oracle.familiar if self.objective.unlike else None
        self.distance = None if limits is None else _composition(limits)

    def forward(self, x_BCL: Tensor) -> Tensor:
        predicted = self.network(x_BCL)[:, self.columns]
        value = predicted[:, 0] - (predicted[:, 1] if len(self.columns) > 1 else 0)
        if self.objective.goal == "minimise":
            value = -value
        elif self.objective.goal == "target":
            value = -(value - self.target).abs()
        if self.distance is not None:
            beyond = (self.distance(x_BCL) - NEAR_LIMIT).relu() / (1 - NEAR_LIMIT)
            value = value - self.objective.unlike * beyond
        return value[:, None]


def _composition(limits: InputLimits) -> Callable[[Tensor], Tensor]:
    """Distance from the training composition, as a share of its limit, differentiable."""
    mean, precision = torch.tensor(limits.pairs), torch.tensor(limits.precision)
    ends = [torch.from_numpy(_one_hot(adapter)) for adapter in (ADAPTER_5, ADAPTER_3)]

    def distance(x_BCL: Tensor) -> Tensor:
        left, right = (end.to(x_BCL).expand(len(x_BCL), -1, -1) for end in ends)
        x_BCL = torch.cat([left, x_BCL, right], dim=2)
        pairs = torch.einsum("bil,bjl->bij", x_BCL[:, :, :-1], x_BCL[:, :, 1:]).flatten(1)
        deviation = pairs / (x_BCL.shape[2] - 1) - mean.to(x_BCL)
        square = torch.einsum("bp,pq,bq->b", deviation, precision.to(x_BCL), deviation)
        return square.clamp_min(1e-9).sqrt() / limits.composition

    return distance


def _one_hot(adapter: str) -> np.ndarray:
    from crmnet.sequence import encode

    return one_hot(torch.from_numpy(encode([adapter])[0])).numpy()
