"""Draw docs/images/listen.svg: the terminal of `kws listen` while it hears a stream of the evaluation.

Run with `python -m docs.listening [STREAM]` after `dvc repro evaluate`. The picture is that of the last
event in the first minute.
"""

import io
import sys
from pathlib import Path

from rich.console import Console

from kws.runtime.kit import read_kit
from kws.runtime.microphone import Faults
from kws.runtime.screen import Screen
from kws.runtime.source import read_blocks
from kws.runtime.spotter import Spotter

STREAM = Path("data/streams/am_puck/clean.flac")
OUT = Path("docs/images/listen.svg")


def main() -> None:
    """Hear the stream and keep the picture."""
    stream = Path(sys.argv[1]) if len(sys.argv) > 1 else STREAM
    kit = read_kit(Path("models/kws.onnx"), Path("models/detector.json"))
    rate = kit.front_end.sample_rate
    blocks = list(read_blocks(stream, rate, 0.1))[:600]
    last = max(index for index, heard in enumerate(map(Spotter(kit).push, blocks)) if heard.events)
    terminal = Console(width=82, file=io.StringIO(), force_terminal=True)
    spotter = Spotter(kit)
    screen = Screen(f"{stream.parent.name}/{stream.name}", kit.detector, rate, Faults(), terminal)
    for block in blocks[: last + 1]:
        screen.push(block, spotter.push(block))
    screen.close()
    picture = Console(width=82, file=io.StringIO(), record=True)
    picture.print(screen.render())
    OUT.write_text(picture.export_svg(title="kws listen"), encoding="utf-8")


if __name__ == "__main__":
    main()
