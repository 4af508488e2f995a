"""Events reach programs: lines, commands without a shell, an MQTT broker."""

import io
import json
import socket
import sys
import threading

import numpy as np
import pytest

from kws.common.errors import UserError
from kws.detector import Event
from kws.runtime.sinks import Command, Lines, Mqtt
from kws.runtime.spotter import Heard


def event(label="SALIR", end=3.0):
    return Event(label, end - 1, end, 0.8765)


def push(sink, *events):
    sink.push(np.zeros(0, np.float32), Heard(np.zeros((0, 2)), list(events)))


def test_lines_for_people_and_for_programs():
    table, lines = io.StringIO(), io.StringIO()
    for stream, as_json in ((table, False), (lines, True)):
        push(Lines(stream, as_json), event(), event("REPETIR", 7.5))
    assert table.getvalue().splitlines()[0].split() == ["2.0", "3.0", "SALIR", "0.8765"]
    assert [json.loads(line) for line in lines.getvalue().splitlines()] == [
        {"label": "SALIR", "start": 2.0, "end": 3.0, "score": 0.8765},
        {"label": "REPETIR", "start": 6.5, "end": 7.5, "score": 0.8765},
    ]


def command(tmp_path, code, debounce_s=0.0):
    script = tmp_path / "script.py"
    script.write_text(
        f"import sys, time\nfrom pathlib import Path\nout = Path({str(tmp_path)!r}) / 'out'\n{code}"
    )
    return Command(f"{sys.executable} {script} {{label}} '{{score}} at {{end}}; rm $HOME'", debounce_s)


NOTE = "out.open('a').write('|'.join(sys.argv[1:]) + '\\n')"


def test_a_command_gets_arguments_and_no_shell_reads_them(tmp_path):
    sink = command(tmp_path, NOTE)
    push(sink, event("A; touch x"))
    sink.close()
    assert (tmp_path / "out").read_text() == "A; touch x|0.8765 at 3.00; rm $HOME\n"


def test_commands_keep_their_distance(tmp_path):
    sink = command(tmp_path, NOTE, debounce_s=2)
    for end in (3.0, 4.9, 5.0):
        push(sink, event(end=end))
        sink.close()
    assert [line.split()[2] for line in (tmp_path / "out").read_text().splitlines()] == ["3.00;", "5.00;"]


def test_an_event_does_not_wait_for_the_command_of_the_last(tmp_path):
    sink = command(tmp_path, f"time.sleep(0.5)\n{NOTE}")
    push(sink, event(end=3), event(end=4), event(end=5))
    sink.close()
    assert len((tmp_path / "out").read_text().splitlines()) == 1


def test_a_command_that_fails_is_said(tmp_path, capfd):
    sink = command(tmp_path, "sys.exit(3)")
    push(sink, event())
    sink.close()
    assert capfd.readouterr().err == "warning: --command: exit status 3\n"


@pytest.mark.parametrize(
    ("line", "message"),
    [("no-such-program x", "no program 'no-such"), ("", "no program ''"), ("a 'b", "quot")],
)
def test_a_command_that_cannot_run_is_refused_at_once(line, message):
    with pytest.raises(UserError, match=message):
        Command(line, 1)


class Broker(threading.Thread):
    """As much of an MQTT 3.1.1 broker as one publisher needs: it takes all, and keeps what is published."""

    def __init__(self):
        super().__init__(daemon=True)
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        self.connect, self.published = b"", []

    def run(self):
        connection, _ = self.server.accept()
        with connection, self.server, connection.makefile("rb") as stream:
            while head := stream.read(1):
                length, shift = 0, 0
                while True:
                    byte = stream.read(1)[0]
                    length |= (byte & 127) << shift
                    shift += 7
                    if byte < 128:
                        break
                body = stream.read(length)
                if head[0] >> 4 == 1:
                    self.connect = body
                    connection.sendall(b"\x20\x02\x00\x00")
                elif head[0] >> 4 == 3:
                    at = 2 + int.from_bytes(body[:2], "big")
                    self.published.append((body[2:at].decode(), json.loads(body[at + 2 :])))
                    connection.sendall(b"\x40\x02" + body[at : at + 2])


def test_events_are_published_with_the_environments_password(monkeypatch):
    monkeypatch.setenv("KWS_MQTT_USER", "kitchen")
    monkeypatch.setenv("KWS_MQTT_PASSWORD", "secret")
    broker = Broker()
    broker.start()
    sink = Mqtt(f"mqtt://127.0.0.1:{broker.port}/home/voice")
    push(sink, event(), event("REPETIR", 7.5))
    sink.close()
    broker.join(5)
    assert [topic for topic, _ in broker.published] == ["home/voice/SALIR", "home/voice/REPETIR"]
    assert broker.published[0][1] == {"label": "SALIR", "start": 2.0, "end": 3.0, "score": 0.8765}
    assert broker.connect.endswith(b"\x00\x07kitchen\x00\x06secret")


def test_a_broker_that_is_away_or_a_url_that_is_none_is_one_line(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(UserError, match=r"127\.0\.0\.1: .*; is the broker running\?"):
        Mqtt(f"mqtt://127.0.0.1:{port}/voice")
    for url in ("http://h/t", "mqtt://h", "mqtt:///t", "mqtt://h/a/#", "mqtt://h:port/t"):
        with pytest.raises(UserError, match="--mqtt: "):
            Mqtt(url)
    with pytest.raises(UserError, match="set KWS_MQTT_USER"):
        Mqtt("mqtt://me:secret@h/t")
    monkeypatch.setitem(sys.modules, "paho.mqtt.client", None)
    with pytest.raises(UserError, match="needs paho-mqtt"):
        Mqtt("mqtt://127.0.0.1/voice")
