"""The three profiles of the study: which data, which sizes, and what they are expected to cost.

``demo`` shows on simulated data that each step works. ``public`` uses the small public sets and the
bundled models. ``full`` is the paper: all its rows, its network, its settings.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from crmnet.names import did_you_mean
from crmnet.studies.reproduce.paper import CONV, TRANSFORMER

OWN = "fine-tuned-complex"
"""Name of the study's network for complex medium."""


@dataclass(frozen=True)
class Training:
    """A recipe and changed settings, as for ``crmnet train``."""

    recipe: str
    overrides: tuple[str, ...] = ()

    def words(self) -> str:
        """The options of ``crmnet train`` for the changed settings."""
        return "".join(f" --set {text}" for text in self.overrides)


@dataclass(frozen=True)
class Cost:
    """Expected minutes and megabytes of a step."""

    minutes: float
    megabytes: float = 1


@dataclass(frozen=True)
class Profile:
    """Data and sizes of a study."""

    name: str
    about: str
    """What the numbers of this profile can say."""
    hardware: str
    """Machine for which the costs are expected."""
    pretrain: Training
    finetune: Training
    ablation: Training
    costs: Mapping[str, Cost]
    simulated: int = 0
    """Promoters of the simulated training set; 0 means real data."""
    simulated_random: int = 0
    """Promoters of the simulated random test sets, in both media together."""
    simulated_native: int = 0
    """The same for native-like promoters; motifs are searched in those of complex medium."""
    training: Mapping[str, tuple[tuple[str, ...], ...]] = field(default_factory=dict)
    """Medium → lists of sources, of which the first complete one is read. A source is the name of a
    public data set, or of a file in the folder of ``--from``."""
    tests: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Test set → sources, of which the first one found is read."""
    clean: bool = True
    """Remove training rows that share 20 bases with a test row."""
    bundled: tuple[str, ...] = ()
    """Bundled models that are compared."""
    zoo: tuple[str, ...] = ()
    """Networks that are trained on the same rows and compared."""
    zoo_training: Training = Training("common")
    seeds: tuple[int, ...] = (0, 1, 2)
    """Seeds of the ablation."""
    batch_sizes: tuple[int, ...] = ()
    """Of Table 1; empty means those of the paper on a GPU, 32 and 128 on a CPU."""
    precisions: tuple[str, ...] = ("fp32", "bf16")
    steps: int = 3
    """Timed steps of each row of Table 1."""
    network: str = "crmnet"
    """Network of Table 1."""
    explained: str = OWN
    """Model of Figure 5 and of the logos: a run of the study, or a bundled model."""
    discovery: int = 500
    """Number of highest and lowest promoters between which motifs are searched."""
    figure5: int = 2_000
    """Largest number of promoters of Figure 5."""
    logos: int = 24
    baseline_rows: int = 20_000
    """Largest number of rows that the trivial baselines are fitted to."""

    def as_json(self) -> dict[str, Any]:
        """All settings except the expected costs."""
        return {key: value for key, value in asdict(self).items() if key != "costs"}


PUBLISHED: Mapping[str, Mapping[str, str]] = {
    "random-complex": {
        TRANSFORMER: "random-complex-transformer",
        CONV: "random-complex-conv",
        "DanQ": "random-complex-danq",
        "DeepATT": "random-complex-deepatt",
        "DeepSEA": "random-complex-deepsea",
    },
    "native-complex": {TRANSFORMER: "native-fragments-predicted"},
    "random-defined": {
        TRANSFORMER: "random-defined-transformer",
        CONV: "random-defined-conv",
    },
    "native-defined": {
        TRANSFORMER: "native-defined-transformer",
        CONV: "native-defined-conv",
    },
}
"""Test set → model of the paper's Figure 3 → public table of its predictions."""
WEIGHTS = "crmnet-model"
"""Public record of the authors' weights."""
_TESTS = {
    "random-complex": ("random-complex",),
    "native-complex": ("native-fragments-complex", "native_complex_validation.tsv.gz"),
    "random-defined": ("random-defined",),
    "native-defined": ("native-defined",),
}
_SHORT = ("epochs=2", "warmup_epochs=0.3")

DEMO = Profile(
    name="demo",
    about="The data are simulated, the network is crmnet-small, and training is short. The numbers "
    "show that each step works. They say nothing about yeast, so a difference from the paper has "
    "no meaning.",
    hardware="two CPU cores with nothing else running",
    simulated=16_000,
    simulated_random=1_500,
    simulated_native=6_000,
    pretrain=Training("demo", ("epochs=4",)),
    finetune=Training("demo", (*_SHORT, "learning_rate=0.001")),
    ablation=Training("demo", _SHORT),
    seeds=(0, 1),
    zoo=("danq", "deepatt"),
    zoo_training=Training("common", ("epochs=3", "warmup_epochs=1", "learning_rate=0.003")),
    batch_sizes=(16,),
    steps=2,
    figure5=1_000,
    logos=12,
    costs={
        "data": Cost(0.3, 12), "lengths": Cost(0.1), "pre-training": Cost(2, 20),
        "fine-tuning-complex": Cost(0.6, 20), "fine-tuning-defined": Cost(0.6, 20),
        "figure2": Cost(0.2), "supplementary-figure1": Cost(0.2), "figure3": Cost(2, 60),
        "supplementary-tables": Cost(0), "figure4": Cost(6, 180), "table1": Cost(1),
        "figure5": Cost(1, 2), "supplementary-figure2": Cost(0.3, 3), "published-weights": Cost(0),
    },
)  # fmt: skip
PUBLIC = Profile(
    name="public",
    about="The training rows are the small public sets: tens of thousands of well measured "
    "promoters instead of the paper's 51 million, and crmnet-small instead of the published "
    "network. The test sets are those of the paper where they are public. A difference from the "
    "paper shows mainly the difference in the number of training rows.",
    hardware="two CPU cores",
    training={
        "complex": (
            ("complex_train.tsv.gz",),
            ("high-quality-complex", "sswm-complex", "drift-complex"),
        ),
        "defined": (("defined_train.tsv.gz",), ("sswm-defined", "drift-defined")),
    },
    tests=_TESTS,
    pretrain=Training("small", ("epochs=8", "warmup_epochs=2", "pool_media=true")),
    finetune=Training("small", ("epochs=4", "warmup_epochs=1", "learning_rate=0.001")),
    ablation=Training("small", ("epochs=4", "warmup_epochs=1")),
    bundled=("yeast", "yeast-fast", "yeast-measured"),
    batch_sizes=(32, 128),
    explained="yeast",
    discovery=2_000,
    costs={
        "data": Cost(2, 40), "lengths": Cost(0.5), "pre-training": Cost(12, 20),
        "fine-tuning-complex": Cost(4, 20), "fine-tuning-defined": Cost(2, 20),
        "figure2": Cost(1, 3), "supplementary-figure1": Cost(0.5, 2), "figure3": Cost(15, 5),
        "supplementary-tables": Cost(0), "figure4": Cost(70, 400), "table1": Cost(6),
        "figure5": Cost(5, 2), "supplementary-figure2": Cost(1, 5),
        "published-weights": Cost(5, 1_000),
    },
)  # fmt: skip
FULL = Profile(
    name="full",
    about="The rows, the network and the settings are those of the paper. A difference from the "
    "paper is a difference of this implementation, of the hardware, or of chance.",
    hardware="one A100, at an eighth of the paper's best rate with eight (76,300 sequences/s); an "
    "upper limit, because training stops when validation no longer improves",
    training={"complex": (("complex-train",),), "defined": (("defined-train",),)},
    tests={name: sources[:1] for name, sources in _TESTS.items()},
    clean=False,
    pretrain=Training("paper-pretrain", ("precision=auto",)),
    finetune=Training("paper-complex", ("precision=auto",)),
    ablation=Training("paper-complex", ("precision=auto", "epochs=20")),
    seeds=(0,),
    bundled=("yeast", "yeast-fast"),
    precisions=("fp32", "fp16", "bf16"),
    steps=10,
    discovery=2_000,
    figure5=61_150,
    baseline_rows=50_000,
    costs={
        "data": Cost(60, 18_000), "lengths": Cost(20), "pre-training": Cost(4_500, 600),
        "fine-tuning-complex": Cost(2_700, 600), "fine-tuning-defined": Cost(1_800, 600),
        "figure2": Cost(2, 5), "supplementary-figure1": Cost(1, 2), "figure3": Cost(10, 5),
        "supplementary-tables": Cost(0), "figure4": Cost(6_000, 3_000), "table1": Cost(10),
        "figure5": Cost(10, 3), "supplementary-figure2": Cost(1, 5),
        "published-weights": Cost(10, 1_500),
    },
)  # fmt: skip
PROFILES = {profile.name: profile for profile in (DEMO, PUBLIC, FULL)}


def find_profile(name: str) -> Profile:
    """The profile with this name.

    Raises:
        ValueError: If there is none.
    """
    if name not in PROFILES:
        hint = did_you_mean(name, PROFILES) or f"profiles are {', '.join(PROFILES)}"
        raise ValueError(f"unknown profile {name!r}; {hint}")
    return PROFILES[name]
