"""Train all networks of the zoo on real measurements with one budget, and compare them.

    python benchmarks/study.py --hq HQ --random Random_complex.csv --out STUDY
    python benchmarks/study.py ... --rows 20000 --epochs 4 --threads 2 --models legnet crmnet-small

HQ is a folder with complex_train.tsv.gz, defined_train.tsv.gz, dream_train.tsv.gz and
native_complex_validation.tsv.gz. All networks are trained on the three media with the recipe
`common`. Training rows that share something with the random promoters are removed. Both the random
promoters and the native fragments are only scored. Beside the networks stand three ridge
regressions, on G + C, dinucleotides and 6-mers of the same rows. After an interruption the script
resumes at the last network and epoch. OUT receives study.md (the table), study.json, study.png
(accuracy against training time and inference speed), and the files of the comparison, such as
compare.png.
"""

import argparse
import gzip
import json
import logging
import random
import time
from collections.abc import Callable
from pathlib import Path

import matplotlib
import numpy as np
import torch
from matplotlib.figure import Figure
from tradeoff import label_points, tradeoff

from crmnet.data.dataset import Dataset, is_dataset
from crmnet.data.ingest import IngestOptions, ingest
from crmnet.data.leaks import find_leaks
from crmnet.data.subset import split
from crmnet.evaluation.align import PredictionTable, align
from crmnet.evaluation.baselines import with_baselines
from crmnet.evaluation.compare import ALPHA, compare
from crmnet.evaluation.compare_report import ranked, write_comparison
from crmnet.evaluation.score_sets import score_model
from crmnet.figures.style import STYLE
from crmnet.files import write_text_atomically
from crmnet.models import MODELS
from crmnet.models.layers import count_parameters
from crmnet.prediction.predictor import Precision, Predictor
from crmnet.reports.figures import save_figure
from crmnet.reports.wording import with_interval
from crmnet.runs.folder import load_record, load_run
from crmnet.runs.settings import resolve
from crmnet.statistics.metrics import score
from crmnet.training.train import train

MEDIA = ("complex", "defined", "dream")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--hq", type=Path, required=True, help="folder of training tables")
    parser.add_argument("--random", type=Path, required=True, help="Random_complex.csv")
    parser.add_argument("--out", type=Path, required=True, help="folder for runs and results")
    parser.add_argument("--models", nargs="*", default=[m for m in MODELS if m != "crmnet"],
                        help="default: all but the full crmnet, which needs a GPU")  # fmt: skip
    parser.add_argument("--published", nargs="*", default=[], metavar="NAME=FILE",
                        help="tables of published predictions for the random set")  # fmt: skip
    parser.add_argument("--recipe", default="common")
    parser.add_argument("--rows", type=int, default=0, help="most rows per medium; 0: all")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=1, help="runs of each network")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--native-rows", type=int, default=0, help="most native rows; 0: all")
    parser.add_argument("--precision", default="fp32", choices=["fp32", "bf16"],
                        help="of the scored predictions; speed is measured in fp32")  # fmt: skip
    parser.add_argument("--speed-rows", type=int, default=2048,
                        help="rows of the speed measurement")  # fmt: skip
    parser.add_argument("--set", nargs="*", default=[], dest="settings", metavar="KEY=VALUE",
                        help="settings that differ from the recipe")  # fmt: skip
    return parser.parse_args()


def sample(source: Path, rows: int, out: Path) -> Path:
    """Write at most ``rows`` rows of a file to ``out``, sampled with a fixed seed."""
    with gzip.open(source, "rt") as file:
        header, *lines = file.readlines()
    if rows and rows < len(lines):
        lines = random.Random(0).sample(lines, rows)
    write_text_atomically(out, header + "".join(lines))
    return out


def datasets(args: argparse.Namespace) -> tuple[Dataset, Dataset, Dataset]:
    """Training, native and random rows, ingested once.

    Training rows that share a word of 20 bases with a random promoter are removed.
    """
    folder = args.out / "data"
    folder.mkdir(parents=True, exist_ok=True)

    def ingested(name: str, media: tuple[str, ...], files: Callable[[], list[Path]]) -> Dataset:
        if not is_dataset(folder / name):
            ingest(files(), folder / name, IngestOptions(media=media))
        return Dataset.open(folder / name)

    held_out = ingested("random", ("complex",), lambda: [args.random])
    fragments = args.hq / "native_complex_validation.tsv.gz"
    native = ingested("native", ("complex",), lambda: [
        sample(fragments, args.native_rows, folder / "native.tsv")
    ])  # fmt: skip
    measured = ingested("measured", MEDIA, lambda: [
        sample(args.hq / f"{m}_train.tsv.gz", args.rows, folder / f"{m}.tsv") for m in MEDIA
    ])  # fmt: skip
    if not is_dataset(folder / "train"):
        shared = find_leaks(measured, held_out).rows("words")
        logging.info("removed %d training rows that share k-mers with the random set", shared.sum())
        split(measured, folder / "train", None, keep=np.nonzero(~shared)[0])
    return Dataset.open(folder / "train"), native, held_out


def run_of(args: argparse.Namespace, model: str, seed: int) -> Path:
    """Run folder of a network and seed."""
    return args.out / "runs" / model / f"seed-{seed}"


def train_all(args: argparse.Namespace, data: Dataset) -> None:
    for seed in range(args.seeds):
        for model in args.models:
            logging.info("%s, seed %d", model, seed)
            settings = [f"model.name={model}", f"epochs={args.epochs}", f"seed={seed}",
                        f"warmup_epochs={0.3 * args.epochs}", f"patience={args.epochs}",
                        f"device={args.device}"]  # fmt: skip
            resolved = resolve(args.recipe, [*settings, *args.settings])
            train(resolved, data, run_of(args, model, seed), resume=True)


def training_seconds(run: Path) -> float:
    """Sum of the seconds of all epochs in the history of a run."""
    head, *rows = (run / "history.csv").read_text().splitlines()
    column = head.split(",").index("seconds")
    return sum(float(row.split(",")[column]) for row in rows)


def speed(predictor: Predictor, data: Dataset, rows: int) -> float:
    """Sequences per second, best of three measurements."""
    tokens, best = np.resize(data.tokens, (rows, data.tokens.shape[1])), 0.0
    predictor.predict_tokens(tokens[:256])
    for _ in range(3):
        started = time.perf_counter()
        predictor.predict_tokens(tokens)
        best = max(best, rows / (time.perf_counter() - started))
    return best


def load(args: argparse.Namespace, model: str, seed: int, precision: Precision) -> Predictor:
    """Predictor of one run."""
    return Predictor.load(run_of(args, model, seed), device=args.device, precision=precision)


def columns_of(args: argparse.Namespace, model: str, held_out: Dataset) -> dict:
    """Columns of a network that are not part of the comparison, which uses seed 0."""
    run, others = run_of(args, model, 0), []
    for seed in range(1, args.seeds):
        (scored,) = score_model(load(args, model, seed, args.precision), held_out)
        others.append(score(scored.measured, scored.predicted)["pearson"])
    best = load_record(run).best
    assert best is not None
    return {
        "other_seeds": others,
        "parameters": count_parameters(load_run(run)[0])[0],
        "training_minutes": training_seconds(run) / 60,
        "best_epoch": best.epoch,
        "sequences_per_s": speed(load(args, model, 0, "fp32"), held_out, args.speed_rows),
    }


def study(args: argparse.Namespace) -> None:
    data, native, held_out = datasets(args)
    train_all(args, data)
    predictors = {m: load(args, m, 0, args.precision) for m in args.models}
    tables = [
        PredictionTable(name, held_out.name, Path(file))
        for name, _, file in (text.partition("=") for text in args.published)
    ]
    sets = align(predictors, [held_out, native], tables, by="homology")
    sets = with_baselines(sets, [held_out, native], data)
    results = [compare(aligned) for aligned in sets]
    write_comparison(args.out, results)
    random_set, native_set = results
    found, best_network = [], next(m for m in ranked(random_set) if m in predictors)
    for model in ranked(random_set):
        row = {
            "model": model,
            "random": vars(random_set.estimates[model]["pearson"]),
            "told_apart_from_best": random_set.significantly_worse(model),
        }
        if model in native_set.estimates:
            row["native"] = vars(native_set.estimates[model]["pearson"])
        if model in predictors:
            pair = random_set.against(model, best_network)
            row["told_apart_from_best_network"] = pair is not None and pair.p_corrected < ALPHA
            row |= columns_of(args, model, held_out)
        found.append(row)
    budget = {
        "rows": len(data),
        "rows_per_medium_at_most": args.rows,
        "epochs": args.epochs,
        "seeds": args.seeds,
        "threads": args.threads,
        "recipe": args.recipe,
        "settings": args.settings,
        "device": str(predictors[args.models[0]].device),
        "precision": args.precision,
    }
    write_text_atomically(
        args.out / "study.json", json.dumps({"budget": budget, "models": found}, indent=2) + "\n"
    )
    text = markdown(found, budget, random_set.n, native_set.n)
    write_text_atomically(args.out / "study.md", text)
    with matplotlib.rc_context(STYLE):
        save_figure(study_page(found, random_set.n), args.out / "study.png")
    print(text)


def markdown(found: list[dict], budget: dict, n_random: int, n_native: int) -> str:
    """Table of all networks, with a line on the budget."""
    lines = [
        f"{budget['rows']:,} rows in three media, {budget['epochs']} epochs, recipe "
        f"`{budget['recipe']}`, {budget['device']}, {budget['threads']} threads. Pearson r with "
        f"95 % interval of seed 0: random promoters (n = {n_random:,}) and native fragments "
        f"(n = {n_native:,}) in complex medium, neither in training. Intervals are bootstrapped by "
        f"families of inserts that share 20 bases.\n",
        "| network | r random | other seeds | r native | trained parameters | training, min "
        "| sequences/s |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in found:
        best = "" if row["told_apart_from_best"] else " *"
        cells = [row["model"] + best, with_interval(row["random"], 3)]
        if "parameters" in row:
            cells += [", ".join(f"{r:.3f}" for r in row["other_seeds"]) or "–",
                      with_interval(row["native"], 3),
                      f"{row['parameters']:,}", f"{row['training_minutes']:.1f}",
                      f"{row['sequences_per_s']:,.0f}"]  # fmt: skip
        elif "native" in row:
            cells += ["–", with_interval(row["native"], 3), "–", "–", "–"]
        else:
            cells += ["published predictions", "–", "–", "–", "–"]
        lines.append("| " + " | ".join(cells) + " |")
    lines.append(
        "\n\\* the best network, and those without a significant difference from it "
        "(paired bootstrap, Holm).\n"
    )
    return "\n".join(lines)


def study_page(found: list[dict], n: int) -> Figure:
    """Figure of accuracy on the random set against cost, for the networks trained here."""
    trained = [row for row in found if "parameters" in row]
    names = [row["model"] for row in trained]
    values = np.array([row["random"]["value"] for row in trained])
    intervals = np.array([[row["random"]["low"], row["random"]["high"]] for row in trained])
    leading = np.array([not row["told_apart_from_best_network"] for row in trained])
    figure = Figure(figsize=(10.5, 4.6), layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    costs = (("training_minutes", "training, minutes"), ("sequences_per_s", "sequences per second"))
    for ax, (cost, title) in zip(axes, costs, strict=True):
        x = np.array([row[cost] for row in trained])
        tradeoff(ax, x, values, intervals, leading)
        ax.set_xlabel(title)
    axes[0].set_ylabel(f"Pearson r on random promoters (n = {n:,})")
    figure.supxlabel(
        "lines: 95 % interval; blue: the best network, and those without a significant difference "
        "from it (paired bootstrap, Holm, p < 0.05)",
        fontsize=7,
    )
    for ax, (cost, _) in zip(axes, costs, strict=True):
        label_points(ax, names, np.array([row[cost] for row in trained]), values, intervals)
    return figure


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    chosen = arguments()
    torch.set_num_threads(chosen.threads)
    study(chosen)
