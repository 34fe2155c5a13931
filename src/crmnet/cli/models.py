"""``crmnet models``: networks and their weights."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


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
