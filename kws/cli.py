"""`kws`: small commands around the pipeline."""

from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from kws.collect.voices import Engine
from kws.common.errors import UserError
from kws.common.foreign import check_labels
from kws.common.terminal import plain, plain_json
from kws.runtime.cli import (
    DETECTOR,
    HEAR,
    MODEL,
    BundleOption,
    ChannelOption,
    DetectorOption,
    ModelOption,
    RateOption,
    SensitivityOption,
    kit_of,
    run,
    show_version,
)
from kws.runtime.cli import cli as runtime

PROJECT, RECORD, BOARD = "Set the project up", "Record your own words", "Compiled models and boards"
"""What commands are for, in `--help`."""


class Layout(StrEnum):
    """How WAV files are named."""

    plain = "plain"
    original = "original"


cli = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)


@cli.callback()
def kws(
    version: Annotated[
        bool, typer.Option("--version", callback=show_version("kws"), is_eager=True, help="Tell it and stop.")
    ] = False,
) -> None:
    """Keyword spotting from one recording per word. The pipeline itself is run by `dvc repro`."""


@cli.command(rich_help_panel=PROJECT)
def compose(
    overrides: Annotated[list[str] | None, typer.Argument(help="Hydra overrides, e.g. train.lr=3e-4")] = None,
) -> None:
    """Rewrite params.yaml from conf/, as `dvc exp run` does; `dvc repro` never does."""
    from kws.params.compose import compose as write
    from kws.params.cost import cost

    params = write(Path("conf"), Path("params.yaml"), overrides or [])
    if large := cost(params).told_if_large(Path.cwd()):
        typer.echo(f"warning: {large}", err=True)


@cli.command(rich_help_panel=RECORD)
def record(
    labels: Annotated[list[str] | None, typer.Argument(help="words; params.yaml's if not given")] = None,
    into: Annotated[Path | None, typer.Option(help="a folder of your own, as my: my/seeds/<LABEL>/")] = None,
    voice: Annotated[str | None, typer.Option(help="who speaks: <voices>/<name>/<LABEL>.wav")] = None,
    unseen: Annotated[
        str | None, typer.Option("--eval", help="who speaks, to measure by: <eval>/words/<LABEL>/<name>.wav")
    ] = None,
    device: Annotated[str | None, typer.Option(help="number of the microphone, or part of its name")] = None,
    channel: ChannelOption = None,
) -> None:
    """Record words and the background, and hear at once what is wrong."""
    from kws.collect.places import choose
    from kws.collect.record import record as ask
    from kws.params.whole import load_params

    params = load_params(Path("params.yaml"))
    try:
        ask(choose(labels or [], params, into, voice, unseen), params, device, into, channel)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


BackgroundOption = Annotated[
    str | None, typer.Option("--background", help="the folder with background sound, if not FONDO")
]


@cli.command(rich_help_panel=RECORD)
def check(
    folder: Annotated[
        Path | None, typer.Argument(help="recordings of words; those of params.yaml if not given")
    ] = None,
    background: BackgroundOption = None,
    plot: Annotated[
        Path | None, typer.Option(help="picture to write: each recording, its word marked")
    ] = None,
) -> None:
    """Say what recordings are like, and what is wrong with them.

    Status 1 if a model cannot be trained on them.
    """
    from kws.collect.folders import find_folders, of_params
    from kws.collect.show import show
    from kws.params.whole import load_params

    params = load_params(Path("params.yaml"))
    folders = find_folders(folder, background) if folder else of_params(params)
    if not show(folders, params.features, plot):
        raise typer.Exit(1)


@cli.command(rich_help_panel=RECORD)
def new(
    folder: Annotated[Path, typer.Argument(help="with seeds/<WORD>/* or <WORD>/*, and FONDO/* beside them")],
    background: BackgroundOption = None,
    name: Annotated[str, typer.Option(help="of the experiment; the folder's if not given")] = "",
) -> None:
    """Make a folder of recordings an experiment of its own.

    They are checked first; what would fail to be trained makes no file conf/experiment/<NAME>.yaml.
    """
    from kws.collect import new as making
    from kws.collect.folders import find_folders
    from kws.collect.show import show
    from kws.params.whole import load_params

    folders = find_folders(folder, background)
    if not folders.whole:
        raise UserError(f"{folder}: holds no folders; put the recordings of a word into {folder}/<WORD>/")
    if not show(folders, load_params(Path("params.yaml")).features):
        raise UserError("nothing was written; mend the errors above, and run it again")
    text = making.experiment(folders, folder, Path())
    path = making.write_experiment(Path("conf"), name or making.experiment_name(folder), text)
    typer.echo(f"{path}: {len(folders.keywords)} keywords, background {folders.background}")
    for line in making.next_steps(folder, path):
        typer.echo(plain(line))


@cli.command(rich_help_panel=RECORD)
def voices(
    folder: Annotated[Path, typer.Argument(help="with seeds/<WORD>/* or <WORD>/*; voices/ is written in it")],
    engine: Annotated[Engine, typer.Option(help="the program that speaks")] = Engine.espeak,
    language: Annotated[str | None, typer.Option(help="of the words, as es or en-us")] = None,
    voice: Annotated[list[str] | None, typer.Option(help="who speaks; may be repeated")] = None,
    say: Annotated[list[str] | None, typer.Option(help="LUZ='la luz': what to say, if not the label")] = None,
    background: BackgroundOption = None,
) -> None:
    """Have a synthesiser say the words, as more voices to train on."""
    from kws.collect.folders import find_folders, wrong_names
    from kws.collect.voices import speak, texts

    folders = find_folders(folder, background)
    if wrong := wrong_names(folders):
        raise UserError(wrong[0])
    if not folders.whole or not folders.keywords:
        raise UserError(f"{folder}: holds no words; put the recordings of one into {folder}/seeds/<WORD>/")
    said = texts(folders.keywords, say or [])
    written = there = 0
    for path, new in speak(folder / "voices", said, engine, language, voice or ()):
        written, there = written + new, there + (not new)
        typer.echo(f"{plain(path)}: {plain(said[path.stem])}" if new else f"{plain(path)}: is there already")
    typer.echo(f"{written} recordings written, {there} were there; next:  kws new {plain(folder)}")


@cli.command(rich_help_panel=RECORD)
def review(
    folder: Annotated[Path, typer.Argument(help="what `kws listen --save-events` wrote to")],
    speaker: Annotated[str, typer.Option(help="who said the words that are right")] = "home",
    measure: Annotated[
        bool, typer.Option("--measure", help="keep them to measure by, as streams, not to train on")
    ] = False,
    into: Annotated[Path, typer.Option(help="where folders are made that params.yaml lacks")] = Path("my"),
) -> None:
    """Sort what was heard, so that the next training learns from it."""
    from kws.collect.review import folders_for
    from kws.collect.review import review as ask
    from kws.params.whole import load_params

    params = load_params(Path("params.yaml"))
    try:
        ask(folder, params, folders_for(params.data, into, speaker, measure))
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


@cli.command("try", rich_help_panel=HEAR)
def try_(
    labels: Annotated[list[str] | None, typer.Argument(help="words; all of the model's if not given")] = None,
    speaker: Annotated[str, typer.Option(help="who speaks")] = "home",
    save: Annotated[
        Path | None, typer.Option(help="keep what was said, to measure by, as my/eval; streams beside it")
    ] = None,
    seconds: Annotated[float, typer.Option(min=0, help="how long to listen when no word is said")] = 60.0,
    bundle: BundleOption = None,
    model: ModelOption = MODEL,
    detector: DetectorOption = DETECTOR,
    fa_per_hour: RateOption = None,
    sensitivity: SensitivityOption = None,
    device: Annotated[str | None, typer.Option(help="number of the microphone, or part of its name")] = None,
    channel: ChannelOption = None,
) -> None:
    """Say each word three times, and see what the model hears."""
    from kws.collect.trial import Session, chosen, run_trial
    from kws.params.whole import load_params

    params = load_params(Path("params.yaml"))
    kit = kit_of(bundle, model, detector, fa_per_hour, sensitivity)
    session = Session(kit, chosen(labels or [], kit.detector), speaker, save, seconds)
    try:
        run_trial(session, params, device, channel)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


cli.add_typer(runtime)


@cli.command(rich_help_panel=HEAR)
def wavs(
    label: Annotated[str, typer.Argument(help="a label, or _hard for the negatives made from keywords")],
    out: Annotated[Path, typer.Option(help="folder to write to")],
    n: Annotated[int | None, typer.Option(min=1, help="how many clips; all of them if not given")] = None,
    like: Annotated[Layout, typer.Option(help="original: <LABEL>/<label>_00000.wav")] = Layout.plain,
) -> None:
    """Write a label's clips as WAV files, to hear or to use elsewhere."""
    from kws.params.whole import load_params
    from kws.report.wavs import write_wavs

    rate = load_params(Path("params.yaml")).features.sample_rate
    for path in write_wavs(Path("data/clips") / label, out, n, rate, original=like is Layout.original):
        typer.echo(plain(path))


@cli.command(rich_help_panel=HEAR)
def features(
    recording: Annotated[Path, typer.Argument(help="WAV, FLAC, OGG, MP3, M4A ..., of a minute at most")],
    out: Annotated[Path | None, typer.Option(help="NumPy file to write, float32 [frames, bands]")] = None,
    plot: Annotated[Path | None, typer.Option(help="picture to write")] = None,
    decibels: Annotated[bool, typer.Option("--db", help="before normalisation, in dB")] = False,
) -> None:
    """Show the log-mel of one recording, over its whole length."""
    from kws.params.whole import load_params
    from kws.report.single import show_features

    front_end = load_params(Path("params.yaml")).features
    typer.echo(plain(show_features(recording, front_end, decibels, out, plot)))


@cli.command(rich_help_panel=BOARD)
def bundle(
    target: Annotated[str, typer.Option(help="a compiled target, or float: the model as trained")] = "float",
    out: Annotated[Path, typer.Option(help="archive to write")] = Path("kws-bundle.tar.gz"),
    fa_per_hour: RateOption = None,
    sensitivity: SensitivityOption = None,
) -> None:
    """Pack all that a board needs into one archive."""
    from kws.bundle.write import write_bundle

    measured = Path(f"reports/benchmark/{target}.json")
    manifest = write_bundle(out, target, Path("models"), fa_per_hour, sensitivity or (), measured)
    typer.echo(f"{plain(out)}: {manifest.model} for {target}, {out.stat().st_size / 1e6:.1f} MB")


@cli.command(rich_help_panel=BOARD)
def decode(
    outputs: Annotated[list[Path], typer.Argument(help="output.bin files, or the output folder of a run")],
    labels: Annotated[str, typer.Option(help="A,B,C in the model's order; params.yaml's if not given")] = "",
    table: Annotated[
        Path, typer.Option("--labels-csv", help="what the inputs of an output folder are")
    ] = Path("data/calib/labels.csv"),
    probabilities: Annotated[bool, typer.Option(help="the files hold probabilities, not logits")] = False,
    json_: Annotated[bool, typer.Option("--json", help="one JSON object instead of tables")] = False,
) -> None:
    """Say what the outputs of ax_run_model mean.

    An output.bin gives labels and probabilities, the output folder of a run its accuracy.
    """
    from kws.board.decode import decode as read
    from kws.board.decode import score
    from kws.params.whole import load_params
    from kws.report.tables import confusion_table, probability_table

    names = labels.split(",") if labels else load_params(Path("params.yaml")).labels
    try:
        check_labels(names)
    except ValueError as error:
        raise UserError(f"--labels: {error}") from error
    decoded = [read(path, names, probabilities) for path in outputs if not path.is_dir()]
    scores = {path: score(path, table, names, probabilities) for path in outputs if path.is_dir()}
    if json_:
        found = [asdict(one) for one in decoded]
        folders = [{"folder": str(path), **asdict(one)} for path, one in scores.items()]
        typer.echo(plain_json({"outputs": found, "folders": folders}, indent=2))
        return
    for one in decoded:
        typer.echo(probability_table(one))
    for path, result in scores.items():
        typer.echo(f"{plain(path)}\n{confusion_table(result)}")


@cli.command(rich_help_panel=BOARD)
def doctor(
    target: Annotated[
        str | None, typer.Argument(help="ax630c or ax650n, both if not given; or a file FILE.axmodel")
    ] = None,
    archive: Annotated[
        Path | None, typer.Option("--from", help="results.tar that somebody's board wrote: say what it tells")
    ] = None,
) -> None:
    """Check what an Axera target needs; status 1 if it cannot work.

    That is Pulsar2, disk space, the board and its tool. Of a compiled model, say what it is for.
    """
    from kws.board.doctor import describe, examine
    from kws.params.whole import load_params, load_target

    if archive:
        from kws.board.results import examine_results

        if target:
            raise UserError(f"{target}: --from reads an archive alone; leave it out")
        answers = list(examine_results(archive))
        for check in answers:
            typer.echo(plain(str(check)))
        raise typer.Exit(0 if all(check.ok or not check.needed for check in answers) else 1)
    if target and target.endswith(".axmodel"):
        for line in describe(Path(target)):
            typer.echo(plain(line))
        return
    chosen = load_params(Path("params.yaml")).target
    fine = True
    for name in [target] if target else ["ax630c", "ax650n"]:
        settings = getattr(chosen, name, None) or load_target(Path("conf"), name)
        typer.echo(name)
        for check in examine(name, settings, Path(f"reports/benchmark/{name}.json")):
            typer.echo(f"  {check}")
            fine = fine and (check.ok or not check.needed)
    raise typer.Exit(0 if fine else 1)


def app() -> None:
    """Run the command line."""
    run(cli)
