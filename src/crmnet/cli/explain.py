"""``crmnet explain``."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crmnet.cli.options import Device, DeviceOption, Flanks, FlanksOption, MediumOption

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

INCOMPLETE = 0.2
"""Bins by which attributions may miss the prediction before the command warns."""


class Method(StrEnum):
    """Choices of ``--method``; see :mod:`crmnet.interpretation.attribute`."""

    ism = "ism"
    gradient = "gradient"
    masked = "masked"
    integrated = "integrated"
    deeplift = "deeplift"


class Format(StrEnum):
    """Choices of ``--format``."""

    png = "png"
    svg = "svg"
    pdf = "pdf"


def explain(
    model: Annotated[str, typer.Argument(help="Run folder, packed file, or bundled model.")],
    file: Annotated[Path, typer.Argument(help="FASTA, TSV, CSV or one sequence per line.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for tables and logos.")],
    method: Annotated[
        Method,
        typer.Option(
            help="*ism* mutates every base; *gradient* is the paper's saliency, *masked* as it is "
            "drawn there; *integrated* gradients; *deeplift* needs the extra interpret."
        ),
    ] = Method.ism,
    keep_composition: Annotated[
        bool,
        typer.Option(
            "--keep-composition",
            help="Leave in what each letter does wherever it stands (*masked* always does).",
        ),
    ] = False,
    medium: MediumOption = None,
    minus: Annotated[
        str | None, typer.Option(help="Explain the difference from this medium instead.")
    ] = None,
    motifs: Annotated[
        Path | None,
        typer.Option(
            help="MEME or JASPAR file to name sites by, and of Figure 5; without it, JASPAR's "
            "yeast factors. Names come along from *crmnet motifs discover*."
        ),
    ] = None,
    figure5: Annotated[
        bool,
        typer.Option(
            "--figure5", help="Also the paper's Figure 5, over the whole file (with expression)."
        ),
    ] = False,
    plant: Annotated[
        list[str] | None,
        typer.Option(
            help="Also plant this factor's consensus (or these bases) into shuffles of the file's "
            "promoters: effect by place and strand; given twice, the pair by gap."
        ),
    ] = None,
    first: Annotated[
        int, typer.Option(min=1, help="Promoters to explain; --figure5 and --plant use all.")
    ] = 24,
    draw: Annotated[int, typer.Option(min=0, help="Of these, how many to draw as logos.")] = 24,
    page: Annotated[int, typer.Option(min=1, help="Logos on a page.")] = 6,
    format: Annotated[Format, typer.Option(help="Of all pictures.")] = Format.png,
    shuffles: Annotated[int, typer.Option(min=1, help="References (integrated, deeplift).")] = 10,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the shuffles.")] = 0,
    flanks: FlanksOption = Flanks.auto,
    device: DeviceOption = Device.auto,
) -> None:
    """Explain predictions base by base: attributions, logos over known sites, tables.

    Example: `crmnet explain my-run promoters.fasta --medium complex -o explained`
    """
    from crmnet.data.sequences import read_promoters
    from crmnet.interpretation.attribute import AttributeOptions, unit_of
    from crmnet.interpretation.explain import explain as run_explain
    from crmnet.interpretation.explain import labelled_motifs
    from crmnet.interpretation.logos import LogoOptions
    from crmnet.prediction.predictor import Predictor

    predictor = Predictor.load(model, device=device.value)
    promoters = read_promoters(file, flanks=flanks.value, length=predictor.length)
    for line in promoters.preparation.messages(predictor.length):
        print(line, file=sys.stderr)
    options = AttributeOptions(
        method.value, beyond_composition=not keep_composition, shuffles=shuffles, seed=seed
    )
    named = labelled_motifs(motifs) if motifs else None
    some = promoters.first(first)
    if len(some.ids) < len(promoters.ids):
        print(f"explaining the first {first:,} of {len(promoters.ids):,} promoters; --first takes "
              "more", file=sys.stderr)  # fmt: skip
    found = run_explain(
        predictor, some, output, media=(medium, minus), options=options, motifs=named,
        drawing=LogoOptions(format.value, page, draw),
    )  # fmt: skip
    if found.delta is not None:
        _say_completeness(abs(found.delta), unit_of(predictor, medium, minus), method)
    pages = -(-min(draw, len(some.ids)) // page)
    logos = f", logos-1.{format.value}{' …' * (pages > 1)}" * (pages > 0)
    print(f"written: {output}/attributions.npz, .tsv, .bedgraph, sites.tsv{logos}")
    if figure5:
        from crmnet.interpretation.figure5 import figure5 as run_figure5
        from crmnet.interpretation.figure5 import top_motifs

        run_figure5(
            predictor, promoters, output, media=(medium, minus), motifs=top_motifs(motifs),
            picture=format.value, seed=seed,
        )  # fmt: skip
        print(f"written: {output}/figure5.{format.value}, figure5.tsv")
    if plant:
        from crmnet.interpretation.marginalise import plant as run_plant

        run_plant(
            predictor, promoters.tokens, plant, output, media=(medium, minus),
            picture=format.value, seed=seed,
        )  # fmt: skip
        pairs = ", pairs.tsv" * (len(plant) > 1)
        print(f"written: {output}/planted.tsv, planted.{format.value}{pairs}")


def _say_completeness(gap: npt.NDArray[np.float32], unit: str | None, method: Method) -> None:
    """How far attributions, composition included, are from adding up to what they explain."""
    print(f"completeness: gap of at most {gap.max():.3g} {unit or 'expression'}, {gap.mean():.3g} "
          "on average", file=sys.stderr)  # fmt: skip
    if gap.max() > INCOMPLETE:
        advice = "ism" if method is Method.integrated else "integrated or ism"
        print(f"warning: {method.value} is not exact for this network; --method {advice} asks it "
              "another way", file=sys.stderr)  # fmt: skip
