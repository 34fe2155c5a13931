"""``crmnet ablate``: calls :func:`crmnet.studies.ablate.ablate` and writes its report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from crmnet.cli.options import FamilyRuleOption, ResamplesOption


def ablate(
    recipe: Annotated[str, typer.Argument(help="A recipe for crmnet of any size.")],
    data: Annotated[Path, typer.Option(help="Data set to train on.")],
    test: Annotated[list[Path], typer.Option(help="Data set to evaluate on; may be repeated.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for runs and results.")],
    pretrain: Annotated[
        Path | None,
        typer.Option(help="Data set with all media, to pre-train the variant *pre-trained* on."),
    ] = None,
    validation: Annotated[
        Path | None, typer.Option(help="Validation set. Default: families held out from --data.")
    ] = None,
    variant: Annotated[
        list[str] | None,
        typer.Option(
            help="Train only this variant and *full*; may be repeated. A variant of your own is "
            '"NAME: KEY=VALUE KEY=VALUE".'
        ),
    ] = None,
    seeds: Annotated[
        int, typer.Option(min=1, help="Runs of each variant, with seeds 0, 1, ….")
    ] = 3,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change a setting of all variants."),
    ] = None,
    pretrain_settings: Annotated[
        list[str] | None,
        typer.Option(
            "--pretrain-set", metavar="KEY=VALUE", help="Change a setting of pre-training alone."
        ),
    ] = None,
    by: FamilyRuleOption = "family",
    resamples: ResamplesOption = 1000,
) -> None:
    """Train complete CRMnet and variants without some parts, with several seeds (paper's Figure 4).

    Variants: pre-trained, full, no squeeze-excitation, no transformer, no decoder, and the additive
    or the published position code. A variant that the recipe has anyway is left out. An interrupted
    command resumes when it is run again.

    Example: `crmnet ablate small --data complex --pretrain both --test held-out -o ablation`

    Example: `crmnet ablate yeast --data rows --test held-out --variant "no LSTM: model.recurrent=0"
    -o ablation`
    """
    from crmnet.data.dataset import Dataset
    from crmnet.runs.settings import check_overrides
    from crmnet.studies.ablate import FULL, VARIANTS, AblationOptions
    from crmnet.studies.ablate import ablate as run_ablation

    reserved = {"train.seed": "--seeds"}
    check_overrides(settings, reserved)
    check_overrides(pretrain_settings, reserved, "--pretrain-set")
    if pretrain_settings and pretrain is None:
        raise ValueError("--pretrain-set changes pre-training; name its data set with --pretrain")
    own = {
        name.strip(): tuple(changes.split())
        for name, colon, changes in (text.partition(":") for text in variant or [])
        if colon
    }
    known = [text for text in variant or [] if ":" not in text]
    requested = [v for v in VARIANTS if not variant or v in (FULL, *known)]
    unknown = [v for v in known if v not in VARIANTS]
    options = AblationOptions(
        recipe, tuple(settings or []), tuple(range(seeds)), tuple(requested + unknown + list(own)),
        own, pretraining=tuple(pretrain_settings or []),
    )  # fmt: skip
    results = run_ablation(
        options,
        Dataset.open(data),
        [Dataset.open(path) for path in test],
        output,
        pretraining=Dataset.open(pretrain) if pretrain else None,
        validation=Dataset.open(validation) if validation else None,
        by=by,
        resamples=resamples,
    )
    from crmnet.studies.ablate_report import ablation_markdown, write_ablation

    write_ablation(output, results)
    print(ablation_markdown(results))
    print(f"written: {output}/ablation.md, ablation.json, ablation.png")
