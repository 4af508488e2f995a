"""`kws spot` and `kws listen`: the commands that the board has too."""

import io
import os
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from datetime import datetime, timezone
from enum import Enum
from importlib.metadata import distributions, version
from pathlib import Path
from typing import Annotated, Any

import typer

from kws.common.errors import UserError
from kws.common.terminal import plain
from kws.common.types import Audio
from kws.detector import Event
from kws.runtime.bundle import read_bundle
from kws.runtime.gate import AutomaticGain, SpeechGate
from kws.runtime.kit import Kit, read_kit
from kws.runtime.listen import Warnings, listen
from kws.runtime.microphone import Faults, Microphone, list_devices
from kws.runtime.points import adjusted
from kws.runtime.recorder import Recorder
from kws.runtime.recording import Highest, Part, hear, nothing_heard, scores_json, scores_table
from kws.runtime.sinks import HEADING, Command, Lines, Listener, Mqtt, as_audacity, as_json, as_line
from kws.runtime.source import in_real_time, pcm_blocks, read_blocks
from kws.runtime.spotter import Spotter

HEAR = "Hear and look"
"""What these commands are for, in `--help`."""
MODEL, DETECTOR = Path("models/kws.onnx"), Path("models/detector.json")


class Format(str, Enum):  # noqa: UP042 - enum.StrEnum is newer than the Python of the boards
    """How events are written."""

    table = "table"
    json = "json"
    audacity = "audacity"


WRITERS: dict[Format, Callable[[Event, Path], str]] = {
    Format.table: lambda event, path: as_line(event),
    Format.json: lambda event, path: as_json(event, file=str(path)),
    Format.audacity: lambda event, path: as_audacity(event),
}
BundleOption = Annotated[Path | None, typer.Option("--bundle", help="an unpacked bundle")]
ModelOption = Annotated[Path, typer.Option("--model", help="an ONNX model, without --bundle")]
DetectorOption = Annotated[Path, typer.Option("--detector", help="its detector, without --bundle")]
RateOption = Annotated[
    float | None, typer.Option("--fa-per-hour", help="thresholds for so many false accepts an hour")
]
SensitivityOption = Annotated[
    list[str] | None,
    typer.Option("--sensitivity", help="SALIR=+1, half way to its next rate's threshold; -1: all, back"),
]
GateOption = Annotated[bool, typer.Option("--gate", help="spare the model where there is no speech")]
ChannelOption = Annotated[
    int | None, typer.Option("--channel", help="hear this one alone, counted from 1; not all that speak")
]
GainOption = Annotated[bool, typer.Option("--gain", help="bring speech to one level")]

cli = typer.Typer()


def show_version(*distributions: str) -> Callable[[bool], None]:
    """Return what `--version` does: it tells that of the first of these that is installed."""

    def show(wanted: bool) -> None:
        if wanted:
            found = [version(name) for name in distributions if is_installed(name)]
            typer.echo(f"kws {found[0] if found else 'of unknown version: it is not installed'}")
            raise typer.Exit

    return show


def is_installed(distribution: str) -> bool:
    """Whether pip knows a package of this name."""
    return any(True for _ in distributions(name=distribution))


@cli.command(rich_help_panel=HEAR)
def spot(
    files: Annotated[list[Path], typer.Argument(help="WAV, FLAC, OGG, MP3, M4A ...: any rate and length")],
    bundle: BundleOption = None,
    model: ModelOption = MODEL,
    detector: DetectorOption = DETECTOR,
    fa_per_hour: RateOption = None,
    sensitivity: SensitivityOption = None,
    form: Annotated[Format, typer.Option("--format", help="how events are written")] = Format.table,
    scores: Annotated[bool, typer.Option("--scores", help="each keyword's highest score, too")] = False,
    plot: Annotated[Path | None, typer.Option(help="draw one file, up to 10 min")] = None,
    gate: GateOption = False,
    gain: GainOption = False,
    channel: ChannelOption = None,
) -> None:
    """List the keywords heard in recordings.

    Where nothing is heard the table says what came nearest; --scores tells it of every keyword.
    """
    if len(files) > 1 and (plot or form is Format.audacity):
        raise UserError(f"{len(files)} files: --plot and --format audacity take one at a time")
    if scores and form is Format.audacity:
        raise UserError("--scores: a label track has no place for them; use --format table or json")
    kit = kit_of(bundle, model, detector, fa_per_hour, sensitivity)
    if form is Format.table:
        typer.echo(HEADING)
    failed = 0
    for path in files:
        if form is Format.table and len(files) > 1:
            typer.echo(f"{plain(path)}:")
        try:
            _spot(kit, path, form, scores, plot, gate, gain, channel)
        except UserError as error:
            if len(files) == 1:
                raise
            typer.echo(f"error: {plain(error)}", err=True)  # the other files are heard all the same
            failed += 1
    if failed:
        raise UserError(f"{failed} of {len(files)} files could not be heard to their end")


def _spot(
    kit: Kit,
    path: Path,
    form: Format,
    scores: bool,
    plot: Path | None,
    gate: bool,
    gain: bool,
    channel: int | None,
) -> None:
    """Write what is heard in one file."""
    highest, parts, events = Highest(kit.detector), list[Part](), 0
    louder = AutomaticGain(kit.front_end.sample_rate) if gain else None
    for part in hear(kit, path, _gate(kit, gate), louder, channel):
        highest.push(part)
        events += len(part.events)
        for event in part.events:
            typer.echo(WRITERS[form](event, path))
        if plot:
            parts.append(part)
    if form is Format.table and not events:
        typer.echo(nothing_heard(highest))
    if scores:
        typer.echo(scores_table(highest) if form is Format.table else scores_json(highest, file=str(path)))
    if plot:
        from kws.runtime.plot import plot_stream

        plot_stream(plot, path, kit, parts, channel)


@cli.command("listen", rich_help_panel=HEAR)
def listen_(
    bundle: BundleOption = None,
    model: ModelOption = MODEL,
    detector: DetectorOption = DETECTOR,
    fa_per_hour: RateOption = None,
    sensitivity: SensitivityOption = None,
    device: Annotated[str | None, typer.Option(help="number of the microphone, or part of its name")] = None,
    devices: Annotated[bool, typer.Option("--list", help="list the microphones and stop")] = False,
    from_file: Annotated[Path | None, typer.Option(help="hear a file instead; - is raw PCM on stdin")] = None,
    fast: Annotated[bool, typer.Option("--fast", help="hear the file as fast as possible")] = False,
    json: Annotated[bool, typer.Option("--json", help="events as JSON lines, no screen")] = False,
    save_events: Annotated[Path | None, typer.Option(help="keep the audio of events and near misses")] = None,
    command: Annotated[str | None, typer.Option(help="run at events, e.g. 'notify-send {label}'")] = None,
    debounce: Annotated[float, typer.Option(min=0, help="least seconds from one command to the next")] = 1.0,
    mqtt: Annotated[str | None, typer.Option(help="publish events to mqtt://host[:port]/topic")] = None,
    gate: GateOption = False,
    gain: GainOption = False,
    channel: ChannelOption = None,
) -> None:
    """Say which keywords a microphone hears. Ctrl-C ends it."""
    if devices:
        typer.echo("\n".join(list_devices()) or "no microphone")
        return
    kit = kit_of(bundle, model, detector, fa_per_hour, sensitivity)
    spec, rate = kit.detector, kit.front_end.sample_rate
    spotter = Spotter(kit, _gate(kit, gate))
    recorder = Recorder(save_events, spec, rate, _stream_name(from_file)) if save_events else None
    listeners: list[Listener] = [recorder] if recorder else []
    listeners += [Command(command, debounce)] if command else []
    listeners += [Mqtt(mqtt)] if mqtt else []
    with ExitStack() as stack:
        name, blocks, faults = _source(
            stack, from_file, device, channel, rate, spec.rules.hop_ms / 1000, fast
        )
        if sys.stdout.isatty() and not json:
            from kws.runtime.screen import Screen

            listeners.append(Screen(name, spec, rate, faults))
        else:
            listeners += [Lines(sys.stdout, json), Warnings(faults)]
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: all is closed in order
        ended = False
        try:
            with suppress(KeyboardInterrupt):
                listen(blocks, spotter, listeners, AutomaticGain(rate) if gain else None)
                ended = True
        finally:
            said = (
                f"{spotter.windows} windows, one every {spec.rules.hop_ms:g} ms; {faults.overruns} overruns"
            )
            if ended and from_file and not spotter.windows:
                said += f"; it is shorter than one of {spec.window_s:g} s, `kws spot` hears short files"
            typer.echo(said, err=True)
    if recorder and recorder.failure:
        raise UserError(f"{save_events}: not all audio was saved ({recorder.failure.strerror})")


def kit_of(
    bundle: Path | None, model: Path, detector: Path, fa_per_hour: float | None, sensitivity: list[str] | None
) -> Kit:
    """Return the model of a bundle, or that of two files, with the thresholds that are asked for."""
    kit = read_bundle(bundle) if bundle else read_kit(model, detector)
    return replace(kit, detector=adjusted(kit.detector, fa_per_hour, sensitivity or ()))


def _gate(kit: Kit, wanted: bool) -> SpeechGate | None:
    return SpeechGate(kit.front_end, kit.detector.rules.hop_ms) if wanted else None


def _stream_name(from_file: Path | None) -> str:
    """Return what the files of a stream are called after: its file, or the time at which it began."""
    if from_file and str(from_file) != "-":
        return from_file.stem
    return f"{datetime.now(timezone.utc):%Y%m%dT%H%M%SZ}"  # noqa: UP017 - datetime.UTC came with 3.11


def _source(
    stack: ExitStack,
    from_file: Path | None,
    device: str | None,
    channel: int | None,
    rate: int,
    block_s: float,
    fast: bool,
) -> tuple[str, Iterator[Audio], Faults]:
    """Return a source's name, its blocks and what goes wrong with them."""
    if from_file is None:
        microphone = stack.enter_context(Microphone(device, rate, block_s, channel))
        return microphone.name, microphone.blocks(), microphone.faults
    if str(from_file) == "-":
        if channel is not None:
            raise UserError("--channel: raw samples on stdin are mono; choose it where they are recorded")
        if sys.stdin is None:
            raise UserError(
                "stdin: is closed; give it raw 16-bit samples: arecord -t raw ... | kws listen ..."
            )
        return "stdin", pcm_blocks(sys.stdin.buffer, rate, block_s), Faults()
    blocks = read_blocks(from_file, rate, block_s, channel)
    return from_file.name, blocks if fast else in_real_time(blocks, rate), Faults()


def run(commands: Callable[[], Any]) -> None:
    """Run a command line; bad input ends in one line and exit status 1."""
    _open_closed_streams()
    try:
        if sys.stdout is None:
            raise UserError("stdout: is closed, and what is heard goes there; send it to a file or /dev/null")
        warnings.showwarning = lambda message, *_: print(f"warning: {plain(message)}", file=sys.stderr)
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="backslashreplace")  # where the terminal knows few letters
        commands()
    except UserError as error:
        sys.exit(f"error: {plain(error)}")
    except FileNotFoundError as error:
        sys.exit(f"error: {plain(error.filename or error)}: no such file or folder; check the path")
    except OSError as error:
        place = f"{plain(error.filename)}: " if error.filename else ""
        sys.exit(f"error: {place}{error.strerror or plain(error)}; check the path and the free space")


def _open_closed_streams() -> None:
    """Open /dev/null where a standard stream is closed.

    Else the next file to be opened takes its number, and what a C library reports is written into it.
    """
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(number)
    if sys.stderr is None:
        sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115 - until the end


board = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
board.add_typer(cli)


@board.callback()
def kws(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=show_version("kws-runtime", "kws"), is_eager=True, help="Tell it and stop."
        ),
    ] = False,
) -> None:
    """Hear keywords in recordings and from a microphone."""


def app() -> None:
    """Run the commands of the board."""
    run(board)
