"""A PulseAudio server of a test's own: what is played into its room is what PortAudio's microphone hears."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from ctypes.util import find_library
from pathlib import Path

import pytest

NEEDED = "apt-get install pulseaudio pulseaudio-utils libasound2-plugins libportaudio2"
SERVER = """
load-module module-native-protocol-unix auth-anonymous=1 socket={socket}
load-module module-null-sink sink_name=room rate={rate} channels={channels}
load-module module-null-sink sink_name=loudspeaker rate=48000 channels=2
set-default-sink loudspeaker
set-default-source room.monitor
"""
ALSA = """
pcm.!default {{ type pulse server "unix:{socket}" }}
ctl.!default {{ type pulse server "unix:{socket}" }}
"""
"""PortAudio reaches PulseAudio through ALSA."""


class Pulse:
    """A running server; `environment` is what programs need to find it."""

    def __init__(self, folder: Path, stack: ExitStack, rate: int, channels: int) -> None:
        """Start it in a folder, with a microphone of this rate and so many channels."""
        socket, home = folder / "socket", folder / "home"
        home.mkdir()
        (home / ".asoundrc").write_text(ALSA.format(socket=socket))
        (folder / "server.pa").write_text(SERVER.format(socket=socket, rate=rate, channels=channels))
        self._stack = stack
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith(("PULSE_", "ALSA_"))}
        self.environment |= {
            "HOME": str(home),
            "XDG_RUNTIME_DIR": str(home),
            "PULSE_SERVER": f"unix:{socket}",
            "PULSE_COOKIE": str(folder / "cookie"),
        }
        options = ["--daemonize=no", "--use-pid-file=no", "--exit-idle-time=-1", "--log-target=stderr"]
        self._server = self._start(["pulseaudio", *options, "-n", "-F", str(folder / "server.pa")])
        deadline = time.monotonic() + 20
        while not self._call("pactl", "info"):
            assert self._server.poll() is None, "pulseaudio did not start"
            assert time.monotonic() < deadline, "pulseaudio is not ready"
            time.sleep(0.05)

    def play(self, path: Path) -> "subprocess.Popen[bytes]":
        """Begin to play a WAV file into the room."""
        return self._start(["paplay", "--device=room", str(path)])

    def record(self, source: str, path: Path) -> "subprocess.Popen[bytes]":
        """Begin to record a source, such as loudspeaker.monitor, until it is terminated."""
        return self._start(["parecord", f"--device={source}", "--file-format=wav", str(path)])

    def die(self) -> None:
        """Kill the server, as if the microphone were pulled out."""
        self._server.kill()
        self._server.wait()

    def _start(self, command: list[str]) -> "subprocess.Popen[bytes]":
        process = subprocess.Popen(command, env=self.environment, stderr=subprocess.DEVNULL)
        self._stack.callback(process.wait)
        self._stack.callback(process.kill)
        return process

    def _call(self, *command: str) -> bool:
        return not subprocess.run(command, env=self.environment, capture_output=True).returncode


@contextmanager
def pulse(folder: Path, rate: int = 48000, channels: int = 1) -> Iterator[Pulse]:
    """Run a server, or skip the test where there is none to be had."""
    programs = all(map(shutil.which, ("pulseaudio", "paplay", "pactl", "parecord")))
    plugin = any(Path("/usr").glob("lib*/**/alsa-lib/libasound_module_pcm_pulse.so"))
    if not (sys.platform == "linux" and programs and plugin and find_library("portaudio")):
        pytest.skip(f"no PulseAudio on this machine: no real stream is recorded; {NEEDED}")
    with ExitStack() as stack:
        yield Pulse(folder, stack, rate, channels)
