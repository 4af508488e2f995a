"""What one machine made serves others: DVC remotes and sweeps, in a pipeline of two small stages.

The SSH server is OpenSSH; the S3 server is moto's, an imitation that keeps everything in memory.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from conftest import ROOT
from standins.install import SSHD, serve, wait_for

pytestmark = pytest.mark.skipif(SSHD is None, reason="needs OpenSSH's sshd")
SECRET = "not-for-git"
PYTHON = Path(sys.executable)
STAGES = """\
stages:
  clips:
    cmd: python work.py clips
    deps: [work.py]
    params: [count]
    outs: [clips]
  train:
    cmd: python work.py train
    deps: [work.py, clips]
    params: [lr]
    outs: [model.json]
metrics: [model.json]
"""
WORK = """\
import json, os, pathlib, sys
params = dict(line.split(": ") for line in open("params.yaml").read().splitlines())
with open(os.environ["RAN"], "a") as ran:
    ran.write(sys.argv[1] + chr(10))
if sys.argv[1] == "clips":
    pathlib.Path("clips").mkdir()
    for index in range(int(params["count"])):
        pathlib.Path(f"clips/{index}.wav").write_text(f"{index} of {params['count']}")
else:
    score = float(params["lr"]) * len(list(pathlib.Path("clips").iterdir()))
    pathlib.Path("model.json").write_text(json.dumps({"score": score}))
"""


class Team:
    """A git server, a DVC remote, and machines that know both; each machine is a clone with its own home."""

    def __init__(self, folder: Path, url: str, options: dict[str, str], ssh: Path):
        self.folder, self.options, self.ssh = folder, options, ssh
        self.run(folder, "git", "init", "-q", "--bare", "-b", "main", "origin")
        first = self.machine("first", known=False)
        for name, text in (("dvc.yaml", STAGES), ("work.py", WORK), ("params.yaml", "lr: 1\ncount: 3\n")):
            (first / name).write_text(text)
        self.run(first, "git", "checkout", "-q", "-b", "main")
        shutil.copytree(ROOT / "cluster", first / "cluster")
        (first / ".dvc").mkdir()
        shutil.copy(ROOT / ".dvc/.gitignore", first / ".dvc")
        config = f"[core]\n    analytics = false\n    remote = team\n['remote \"team\"']\n    url = {url}\n"
        (first / ".dvc/config").write_text(config)
        (first / ".gitignore").write_text("/clips\n/model.json\n/.venv\n")
        self.run(first, "git", "add", "-A")
        self.run(first, "git", "commit", "-qm", "start")
        self.run(first, "git", "push", "-q", "origin", "main")

    def machine(self, name: str, known: bool = True) -> Path:
        """A fresh clone."""
        clone = self.folder / name
        self.run(self.folder, "git", "clone", "-q", "origin", name)
        if known and self.options:
            lines = [f"    {key} = {value}\n" for key, value in self.options.items()]
            (clone / ".dvc/config.local").write_text("['remote \"team\"']\n" + "".join(lines))
        return clone

    def start(self, clone: Path, *command: str, **more: str) -> subprocess.Popen[str]:
        """Begin a command as on a machine with that clone."""
        home = self.folder / "homes" / clone.name
        if not home.exists():
            home.mkdir(parents=True)
            shutil.copytree(self.ssh, home / ".ssh")
            (home / ".gitconfig").write_text("[user]\n  name = test\n  email = test@localhost\n")
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "DVC_", "XDG_"))
        }
        path = f"{PYTHON.parent}{os.pathsep}{os.environ['PATH']}"
        environment = kept | {"HOME": str(home), "PATH": path, "RAN": str(home / "ran")} | more
        environment["DVC_SITE_CACHE_DIR"] = str(home / "site")
        pipe = subprocess.PIPE
        return subprocess.Popen(
            command,
            cwd=clone,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=pipe,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, clone: Path, *command: str, **more: str) -> str:
        return finished(self.start(clone, *command, **more))

    def ran(self, clone: Path) -> list[str]:
        """The stages whose command was run there."""
        path = self.folder / "homes" / clone.name / "ran"
        return path.read_text().split() if path.exists() else []


def finished(process: subprocess.Popen[str]) -> str:
    said = process.communicate(timeout=120)[0]
    assert process.returncode == 0, said
    return said


@pytest.fixture(scope="module")
def sshd(tmp_path_factory):
    with serve(tmp_path_factory.mktemp("s")) as server:
        home = server.config.parent / "home"
        home.mkdir()
        shutil.copy(server.config, home / "config")
        yield home


@pytest.fixture(scope="module")
def s3(tmp_path_factory) -> Iterator[str]:
    """The address of an S3 server with a bucket, `team`."""
    log = tmp_path_factory.mktemp("moto") / "log"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with log.open("w") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out)
    try:
        wait_for(port, process, log)
        address = f"http://127.0.0.1:{port}"
        urllib.request.urlopen(urllib.request.Request(f"{address}/team", method="PUT")).close()
        yield address
    finally:
        process.terminate()
        process.wait()


@pytest.fixture
def make_team(tmp_path, sshd, request) -> Callable[[str], Team]:
    def make(kind: str) -> Team:
        if kind == "ssh":
            return Team(tmp_path, f"ssh://board{tmp_path}/cache", {}, sshd)
        keys = {"access_key_id": "team", "secret_access_key": SECRET}
        options = {"endpointurl": request.getfixturevalue("s3"), **keys}
        return Team(tmp_path, f"s3://team/{tmp_path.name}", options, sshd)

    return make


@pytest.mark.parametrize("kind", ["ssh", "s3"])
def test_what_one_machine_made_another_pulls_and_reruns_nothing(make_team, kind):
    team = make_team(kind)
    one = team.machine("one")
    team.run(one, "dvc", "repro")
    assert team.ran(one) == ["clips", "train"]
    team.run(one, "dvc", "push", "--run-cache")
    team.run(one, "git", "add", "-A")
    team.run(one, "git", "commit", "-qm", "run")
    team.run(one, "git", "push", "-q", "origin", "main")
    late = team.machine("late")
    team.run(late, "dvc", "pull", "--run-cache")
    team.run(late, "dvc", "repro")
    assert team.ran(late) == []
    assert json.loads((late / "model.json").read_text()) == {"score": 3.0}
    assert len(list((late / "clips").iterdir())) == 3
    assert SECRET not in team.run(late, "git", "log", "-p")
    assert team.run(late, "git", "status", "--porcelain") == ""
    (late / "params.yaml").write_text("lr: 2\ncount: 3\n")
    team.run(late, "dvc", "repro", "--pull")
    assert team.ran(late) == ["train"], "what is new is run"


@pytest.mark.parametrize("kind", ["ssh", "s3"])
def test_several_that_push_at_once_lose_nothing(make_team, kind):
    team = make_team(kind)
    sizes = {team.machine(f"m{size}"): size for size in (5, 6)}
    for clone, size in sizes.items():
        (clone / "params.yaml").write_text(f"lr: 1\ncount: {size}\n")
        team.run(clone, "dvc", "repro")
    for pushing in [team.start(clone, "dvc", "push", "--run-cache") for clone in sizes]:
        finished(pushing)
    other = team.machine("other")
    team.run(other, "dvc", "fetch", "--run-cache")
    for size in sizes.values():
        (other / "params.yaml").write_text(f"lr: 1\ncount: {size}\n")
        team.run(other, "dvc", "repro", "--pull")
        names = [(other / f"clips/{index}.wav").read_text() for index in range(size)]
        assert names == [f"{index} of {size}" for index in range(size)]
    assert team.ran(other) == []


def tunnel(team: Team, clone: Path, host: str, port: int) -> subprocess.Popen[str]:
    """A port of this machine that leads to the server's sshd, by way of OpenSSH, as docs/scale.md has it."""
    config = team.ssh / "config"
    server = next(line.split()[1] for line in config.read_text().splitlines() if "Port" in line)
    options = ["-F", str(config), "-o", "ExitOnForwardFailure=yes", "-o", "BatchMode=yes"]
    return team.start(clone, "ssh", *options, "-N", "-L", f"{port}:127.0.0.1:{server}", host)


def test_through_a_tunnel_the_server_is_one_that_is_known(make_team, tmp_path):
    """DVC itself takes any host's key."""
    team = make_team("ssh")
    one = team.machine("one")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for host, says in (("unknown", "verification failed"), ("changed", "IDENTIFICATION HAS CHANGED")):
        refused = tunnel(team, one, host, port)
        assert says in refused.communicate(timeout=60)[0]
        assert refused.returncode != 0
    opened = tunnel(team, one, "board", port)
    try:
        log = tmp_path / "log"
        log.write_text("ssh ended")
        wait_for(port, opened, log)
        key = team.ssh.parent / "user"
        lines = f"    url = ssh://127.0.0.1:{port}{tmp_path}/cache\n    keyfile = {key}\n"
        (one / ".dvc/config.local").write_text("['remote \"team\"']\n" + lines)
        team.run(one, "dvc", "repro")
        team.run(one, "dvc", "push")
        assert len(list((tmp_path / "cache/files/md5").iterdir())) == 5
    finally:
        opened.terminate()
        opened.communicate()


def test_two_machines_share_a_sweep_and_a_third_shows_it(make_team):
    team = make_team("ssh")
    one = team.machine("one")
    (one / "cluster/runs.txt").write_text("# lr\n-S lr=2\n\n-S lr=3\n-S 'lr=4' -S count=5")
    team.run(one, "git", "commit", "-qam", "sweep")
    team.run(one, "git", "push", "-q", "origin", "main")
    machines = [one, team.machine("two")]
    tasks = []
    for index, machine in enumerate(machines):
        (machine / ".venv/bin").mkdir(parents=True)
        (machine / ".venv/bin/activate").write_text(f"PATH={PYTHON.parent}:$PATH\n")
        task = {
            "SLURM_SUBMIT_DIR": str(machine),
            "SLURM_ARRAY_TASK_ID": str(index),
            "SLURM_ARRAY_TASK_COUNT": "2",
        }
        tasks.append(team.start(machine, "cluster/slurm.sh", "cluster/runs.txt", **task))
    for started in tasks:
        finished(started)
    assert [team.ran(machine).count("train") for machine in machines] == [2, 1]
    third = team.machine("third")
    team.run(third, "dvc", "exp", "pull", "--run-cache", "origin", "-A")
    shown = json.loads(team.run(third, "dvc", "exp", "show", "--json", "-A"))
    found = {
        run["name"]: run["data"]["metrics"]["model.json"]["data"]["score"]
        for baseline in shown
        for group in baseline["experiments"] or ()
        for run in group["revs"]
    }
    assert found == {"runs-1": 6.0, "runs-2": 9.0, "runs-3": 20.0}


def test_the_same_share_on_rented_machines(tmp_path):
    task = YAML(typ="safe").load(ROOT / "cluster/sky.yaml")
    (tmp_path / "kws/.venv/bin").mkdir(parents=True)
    (tmp_path / "kws/.venv/bin/activate").touch()
    (tmp_path / "kws/cluster").mkdir()
    share = tmp_path / "kws/cluster/share.sh"
    share.write_text('#!/bin/sh\necho "$@"')
    share.chmod(0o755)
    subprocess.run(["git", "init", "-q", "kws"], cwd=tmp_path, check=True)
    rank = os.environ | {"SKYPILOT_NODE_RANK": "1", "SKYPILOT_NUM_NODES": str(task["num_nodes"])}
    said = subprocess.check_output(["bash", "-ec", task["run"]], cwd=tmp_path, env=rank, text=True)
    assert said == "cluster/runs.txt 1 4\n"
    assert set(task["secrets"].values()) == {None}


def test_a_run_that_fails_is_told_and_leaves_the_others_alone(make_team):
    team = make_team("ssh")
    one = team.machine("one")
    (one / "runs.txt").write_text("-S count=wrong\n-S lr=3\n")
    sweep = team.start(one, "cluster/share.sh", "runs.txt", "0", "1")
    said = sweep.communicate(timeout=120)[0]
    assert sweep.returncode == 1
    assert "error: runs.txt: run 1 (-S count=wrong) failed" in said
    assert "runs-2" in team.run(one, "dvc", "exp", "list", "origin")
    (one / "runs.txt").write_text("# none fails\n-S count=1\n-S lr=3\n")
    team.run(one, "cluster/share.sh", "runs.txt", "0", "1")
    assert team.ran(one) == ["clips", "clips", "train", "clips", "train"], "run 2 is known"


def test_dvc_knows_every_run_of_the_pipeline_again_but_that_of_the_report():
    """What keeps a stage out of DVC's run-cache, or makes it confuse two runs."""
    yaml = YAML(typ="safe")
    for name, stage in yaml.load(ROOT / "dvc.yaml")["stages"].items():
        stage = stage.get("do", stage)
        assert stage["deps"] and stage["outs"] and not stage.get("always_changed"), name
        outs = str(stage["outs"])
        assert "'persist': True" not in outs, name
        assert ("'cache': False" in outs) == (name == "report"), name
    assert not {"size", "nfiles"} & set(keys(yaml.load(ROOT / "params.yaml")))


def keys(value: object) -> Iterator[str]:
    """The names in nested mappings and lists."""
    if isinstance(value, dict):
        yield from value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from keys(inner)
