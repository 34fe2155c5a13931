"""``crmnet models``: networks and their weights."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def list_models() -> None:
    """List the networks that can be trained, with their number of parameters.

    Example: `crmnet models list`
    """
    from crmnet.models import MODELS

    for name, entry in MODELS.items():
        print(f"{name:22}{entry.card.parameters:>12,}  {entry.about}")
    print("\ncrmnet models show NAME tells more of one; crmnet train RECIPE trains one")


def show(
    name: Annotated[str, typer.Argument(help="One of `crmnet models list`.")],
) -> None:
    """Show a network's card (paper, parameters, input, loss, recipe) and its settings.

    Example: `crmnet models show legnet`
    """
    from dataclasses import asdict

    from crmnet.models import MODELS, configure

    settings = asdict(configure(name))
    entry = MODELS[name]
    card = entry.card
    published = card.published_parameters
    rows = {
        "paper": card.paper,
        "parameters": f"{card.parameters:,}"
        + (f", {card.not_trained:,} of them not trained" if card.not_trained else "")
        + ("" if published is None else f" (published: {published:,})"),
        "sees": card.context,
        "alphabet": card.alphabet,
        "where N is": card.n_policy,
        "loss": card.loss,
        "recipe": card.recipe,
        "notes": card.notes,
    }
    print(f"{name}: {entry.about}\n")
    for title, text in rows.items():
        if text:
            print(f"{title:12}{text}")
    print("\nsettings (--set model.KEY=VALUE)")
    for key, value in settings.items():
        print(f"  {key} = {list(value) if isinstance(value, tuple) else value}")


def import_keras(
    saved_model: Annotated[Path, typer.Argument(help="Folder of the unpacked SavedModel.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Run folder to make.")],
    medium: Annotated[str, typer.Option(help="Medium the weights were trained on.")] = "complex",
) -> None:
    """Turn published CRMnet weights (a TensorFlow SavedModel) into a run folder.

    Needs TensorFlow, for this command alone: `pip install 'crmnet[keras]'`. Only the folder's
    variables/ are read. The authors' weights are Zenodo record 7375243.

    Example: `crmnet models import-keras crmnet_model -o published`
    """
    from crmnet.checkpoint import import_published

    import_published(saved_model, output, medium)
    print(f"run: {output}   next: crmnet predict {output} promoters.fasta")
