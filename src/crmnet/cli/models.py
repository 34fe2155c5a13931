"""``crmnet models list / show / import-keras``: networks and trained models.

:mod:`crmnet.cli.bundles` has the other commands of this group. The tables come from
:mod:`crmnet.models` and :mod:`crmnet.runs.packed`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def list_models() -> None:
    """List the bundled models, and the networks that can be trained.

    Example: `crmnet models list`
    """
    from crmnet.models import MODELS
    from crmnet.runs.packed import bundled, load_card

    print("trained models")
    for name, path in bundled().items():
        card = load_card(path)
        size = path.stat().st_size / 1e6
        print(f"  {name:22}{size:>9.1f} MB  {', '.join(card.media)}: {card.about}")
    if not bundled():
        print("  none; create one with crmnet models pack")
    print("\nnetworks, with their number of parameters")
    for name, entry in MODELS.items():
        print(f"  {name:22}{entry.card.parameters:>12,}  {entry.about}")
    print("\ncrmnet models show NAME shows its card; crmnet train RECIPE trains a network")


def show(
    name: Annotated[
        str, typer.Argument(help="A packed file, or a model or network from `crmnet models list`.")
    ],
    json: Annotated[
        bool, typer.Option("--json", help="Print the card of a trained model as JSON.")
    ] = False,
) -> None:
    """Show the card of a trained model, or of a network.

    The card of a trained model has networks, media, test results, intervals and unsuitable uses.
    The card of a network has paper, parameters, input, loss, recipe and settings.

    Examples: `crmnet models show my-model.safetensors` · `crmnet models show legnet`
    """
    from crmnet.runs.model_card import card_lines
    from crmnet.runs.packed import load_card, packed_file

    file = packed_file(name)
    if file is None:
        _show_network(name)
        return
    card = load_card(file)
    print(card.model_dump_json(indent=2) if json else "\n".join(card_lines(card)))


def _show_network(name: str) -> None:
    from dataclasses import asdict

    from crmnet.models import MODELS, configure
    from crmnet.names import did_you_mean
    from crmnet.runs.folder import is_run
    from crmnet.runs.packed import bundled

    if name not in MODELS and is_run(Path(name)):
        raise ValueError(
            f"{name} is a run folder, which has no card; pack it into a model with a card: "
            f"`crmnet models pack {name} -o NAME.safetensors`"
        )
    if name not in MODELS:
        known = [*bundled(), *MODELS]
        hint = did_you_mean(name, known) or f"known: {', '.join(known)}"
        raise ValueError(f"{name} is not a packed file, a bundled model or a network; {hint}")
    settings = asdict(configure(name))
    entry = MODELS[name]
    card = entry.card
    published = card.published_parameters
    rows = {
        "paper": card.paper,
        "parameters": f"{card.parameters:,}"
        + (f", {card.not_trained:,} of them not trained" if card.not_trained else "")
        + ("" if published is None else f" (published: {published:,})"),
        "input": card.context,
        "alphabet": card.alphabet,
        "base N": card.n_policy,
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
    saved_model: Annotated[
        Path,
        typer.Argument(help="Folder of the unpacked SavedModel (CRMnet), or NAME.h5 (DeepATT)."),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="Run folder to create.")],
    medium: Annotated[
        str, typer.Option(help="Medium on which the weights were trained.")
    ] = "complex",
) -> None:
    """Convert published Keras weights to a run folder, which every command takes as MODEL.

    Two networks are known. CRMnet: the authors' SavedModel, Zenodo record 7375243; reading it needs
    TensorFlow (`pip install 'crmnet[keras]'`). DeepATT: the HDF5 file of Vaishnav et al. 2022,
    trained on 30.7 million promoters; reading it needs h5py (`pip install 'crmnet[h5]'`).

    Examples: `crmnet models import-keras crmnet_model -o published` ·
    `crmnet data fetch deepatt-vaishnav`, then
    `crmnet models import-keras DeepAtt_model.h5 -o deepatt`
    """
    from crmnet.runs.published import import_published

    import_published(saved_model, output, medium)
    print(f"run: {output}   next: crmnet predict {output} promoters.fasta")
