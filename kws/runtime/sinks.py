"""Where events go: lines for people, JSON lines for programs, MQTT, a command of one's own."""

import os
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from typing import Any, Protocol, TextIO
from urllib.parse import urlsplit

from kws.common.errors import UserError
from kws.common.terminal import plain, plain_json
from kws.common.types import Audio
from kws.detector import Event
from kws.runtime.spotter import Heard


class Listener(Protocol):
    """Follows a stream."""

    def push(self, audio: Audio, heard: Heard) -> None:
        """Take a block of the stream, float32 [samples], and what was heard in it."""

    def close(self) -> None:
        """Finish; the stream has ended."""


def as_json(event: Event, **more: Any) -> str:
    """Return an event as one line of JSON; times are seconds of audio since the start."""
    values = {"label": event.label, "start": round(event.start, 3), "end": round(event.end, 3)}
    return plain_json({**more, **values, "score": round(event.score, 4)})


def as_line(event: Event) -> str:
    """Return an event as a line of a table."""
    return f"{event.start:10.1f}{event.end:10.1f}  {event.label:20}{event.score:8.4f}"


HEADING = f"{'start s':>10}{'end s':>10}  {'label':20}{'score':>8}"


def as_audacity(event: Event) -> str:
    """Return an event as a line of an Audacity label track."""
    return f"{event.start:.3f}\t{event.end:.3f}\t{event.label} {event.score:.4f}"


class EventSink:
    """A listener that wants events only."""

    def push(self, audio: Audio, heard: Heard) -> None:
        """Take the events of a block."""
        for event in heard.events:
            self.take(event)

    def take(self, event: Event) -> None:
        """Take an event."""
        raise NotImplementedError

    def close(self) -> None:
        """Finish."""


@dataclass
class Lines(EventSink):
    """Events as JSON or as lines of a table, each written at once."""

    stream: TextIO
    as_json: bool

    def take(self, event: Event) -> None:
        """Write an event."""
        print(as_json(event) if self.as_json else as_line(event), file=self.stream, flush=True)


@dataclass
class Command(EventSink):
    """Runs a program for each event; `{label}`, `{score}`, `{start}` and `{end}` stand for its values.

    No shell is involved. Listening does not wait for the program. An event is passed over while the program
    of the last one runs, and within `debounce_s` of it.
    """

    line: str
    debounce_s: float
    _running: subprocess.Popen[bytes] | None = field(default=None, init=False)
    _last: float = field(default=float("-inf"), init=False)

    def __post_init__(self) -> None:
        """Raise UserError for a command line that cannot be split, or a program that is not there."""
        try:
            self._words = shlex.split(self.line)
        except ValueError as error:
            raise UserError(f"--command: {error}: {self.line}") from error
        if not self._words or not shutil.which(self._words[0]):
            raise UserError(f"--command: no program {self._words[0] if self._words else ''!r}; give its path")

    def take(self, event: Event) -> None:
        """Start the program."""
        if self._busy() or event.end - self._last < self.debounce_s:
            return
        self._last = event.end
        values = {"{label}": event.label, "{score}": f"{event.score:.4f}"}
        values |= {"{start}": f"{event.start:.2f}", "{end}": f"{event.end:.2f}"}
        words = self._words
        for name, value in values.items():
            words = [word.replace(name, value) for word in words]
        try:
            self._running = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=sys.stderr.fileno())
        except OSError as error:
            print(f"warning: --command: {plain(error)}", file=sys.stderr)

    def _busy(self) -> bool:
        if self._running is None or self._running.poll() is None:
            return self._running is not None
        if self._running.returncode:
            print(f"warning: --command: exit status {self._running.returncode}", file=sys.stderr)
        self._running = None
        return False

    def close(self) -> None:
        """Let the program of the last event finish, for a few seconds."""
        if self._running is not None:
            try:
                self._running.wait(timeout=5)
            except subprocess.TimeoutExpired:
                print("warning: --command: still running; left to itself", file=sys.stderr)
            self._busy()


PORTS = {"mqtt": 1883, "mqtts": 8883}
WAITING = 100
"""Events kept for a broker that is away; later ones are dropped."""


class Mqtt(EventSink):
    """Publishes each event as JSON under `<topic>/<label>`; a lost broker is reconnected to meanwhile."""

    def __init__(self, url: str) -> None:
        """Connect to `mqtt://host[:port]/topic`, or `mqtts:` with TLS.

        User and password come from the environment, KWS_MQTT_USER and KWS_MQTT_PASSWORD. Raises UserError
        for another form of URL, or where nothing answers.
        """
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError as error:
            raise UserError(f"--mqtt: {error}") from error
        self._topic = parts.path.strip("/")
        if parts.scheme not in PORTS or not host or not self._topic or set("+#") & set(self._topic):
            raise UserError("--mqtt: expected mqtt://host[:port]/topic, or mqtts: for TLS")
        if parts.username or parts.password:
            raise UserError("--mqtt: set KWS_MQTT_USER and KWS_MQTT_PASSWORD; a URL shows in process lists")
        try:
            from paho.mqtt.client import Client
            from paho.mqtt.enums import CallbackAPIVersion
        except ImportError as error:
            raise UserError("--mqtt: needs paho-mqtt; `pip install paho-mqtt`") from error
        self._client = Client(CallbackAPIVersion.VERSION2)
        self._client.max_queued_messages_set(WAITING)
        if user := os.environ.get("KWS_MQTT_USER"):
            self._client.username_pw_set(user, os.environ.get("KWS_MQTT_PASSWORD"))
        if parts.scheme == "mqtts":
            self._client.tls_set()
        try:
            self._client.connect(host, port or PORTS[parts.scheme])
        except OSError as error:
            raise UserError(f"--mqtt: {host}: {error}; is the broker running?") from error
        self._client.loop_start()
        self._last: Any = None

    def take(self, event: Event) -> None:
        """Publish an event, at least once."""
        self._last = self._client.publish(f"{self._topic}/{event.label}", as_json(event), qos=1)

    def close(self) -> None:
        """Wait a few seconds for the last event to be taken, then disconnect."""
        if self._last is not None and self._last.rc == 0:
            self._last.wait_for_publish(timeout=5)
        self._client.disconnect()
        self._client.loop_stop()
