"""``crmnet explain``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from crmnet.cli.options import Device, DeviceOption, Flanks, FlanksOption, MediumOption

INCOMPLETE = 0.2
"""Bins by which attributions may miss the prediction before the command warns."""


class Method(StrEnum):
    """Choices of ``--method``; see :mod:`crmnet.attribute`."""

    ism = "ism"
    gradient = "gradient"
    masked = "masked"
    integrated = "integrated"
    deeplift = "deeplift"


def explain(
    model: Annotated[str, typer.Argument(help="Run folder.")],
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
        Path | None, typer.Option(help="MEME or JASPAR file to name sites by.")
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
    first: Annotated[int, typer.Option(min=1, help="Promoters to draw; --figure5 uses all.")] = 24,
    shuffles: Annotated[int, typer.Option(min=1, help="References (integrated, deeplift).")] = 10,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the shuffles.")] = 0,
    flanks: FlanksOption = Flanks.auto,
    device: DeviceOption = Device.auto,
) -> None:
    """Explain predictions base by base: attributions, logos over known sites, tables.

    Example: `crmnet explain my-run promoters.fasta --medium complex -o explained`
    """
    import sys

    from crmnet.attribute import AttributeOptions
    from crmnet.explain import Promoters, read_promoters
    from crmnet.explain import explain as run_explain
    from crmnet.motifs.formats import read_motifs
    from crmnet.predict import Predictor

    predictor = Predictor.load(model, device=device.value)
    promoters = read_promoters(file, flanks=flanks.value, length=predictor.length)
    options = AttributeOptions(
        method.value, beyond_composition=not keep_composition, shuffles=shuffles, seed=seed
    )
    named = read_motifs(motifs) if motifs else None
    some = Promoters(
        promoters.ids[:first],
        promoters.tokens[:first],
        None if promoters.expression is None else promoters.expression[:first],
    )
    found = run_explain(
        predictor, some, output, media=(medium, minus), options=options, motifs=named
    )
    if found.delta is not None:
        gap = abs(found.delta).max()
        print(f"completeness: largest gap {gap:.3g} bins", file=sys.stderr)
        if gap > INCOMPLETE:
            advice = "ism" if method is Method.integrated else "integrated or ism"
            print(f"warning: {method.value} is not exact for this network; --method {advice} "
                  "asks it another way", file=sys.stderr)  # fmt: skip
    print(f"written: {output}/attributions.npz, .tsv, .bedgraph, sites.tsv, logos-1.png …")
    if figure5:
        from crmnet.figure5 import figure5 as run_figure5

        run_figure5(predictor, promoters, output, media=(medium, minus), motifs=named)
        print(f"written: {output}/figure5.png, figure5.tsv")
    if plant:
        from crmnet.planted import plant as run_plant

        run_plant(predictor, promoters.tokens, plant, output, media=(medium, minus), seed=seed)
        print(f"written: {output}/planted.tsv, planted.png{', pairs.tsv' * (len(plant) > 1)}")
