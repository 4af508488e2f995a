"""`ax_run_model`, after its documents, its logs and the source of its sibling; it runs the real ONNX."""

import os
import signal
import sys
import time
from pathlib import Path

from state import STATE, mode, note, once, run_onnx

FLAGS = {
    "-m": "model", "--model": "model", "-w": "warmup", "--warmup": "warmup", "-r": "repeat",
    "--repeat": "repeat", "-i": "input", "-o": "output", "-l": "list",
}  # fmt: skip
HEADER = """\
   Run AxModel:
         model: {model}
          type: {type}
          vnpu: Disable
      affinity: 0b01
        warmup: {warmup}
        repeat: {repeat}
         batch: {{ auto: 0 }}
   pulsar2 ver: 4.2 751f68f9
    engine ver: 2.6.3sp
      tool ver: {tool}
      cmm size: 748716 Bytes"""


def main(arguments: list[str]) -> int:
    note(ax_run_model=arguments)
    if not arguments:
        print("usage: ax_run_model --model=string [options] ...", file=sys.stderr)
        return 0
    options = {"warmup": "1", "repeat": "1"}
    while arguments:
        flag = arguments.pop(0)
        if flag not in FLAGS:
            print(f"undefined option: {flag}", file=sys.stderr)
            return 1
        options[FLAGS[flag]] = arguments.pop(0)
    feeding = "list" in options
    mishap(mode(), feeding)
    try:
        call, n_bytes = run_onnx(Path(options["model"]))
    except Exception:
        print(f"[ERROR] Loading model {{{options['model']}}} failed.", file=sys.stderr)
        return 255
    return feed(options, call, n_bytes) if feeding else repeat(options, call, n_bytes)


def mishap(wrong: str, feeding: bool) -> None:
    """Go wrong as asked; most of it while inputs are fed, when much has been done already."""
    if wrong == "load_error":
        print("Get model type failed{0x80060105}.")
        print("[ERROR] Loading model {kws.axmodel} failed.", file=sys.stderr)
        sys.exit(255)
    if wrong in ("third_start", "third_single") and start() > 2:
        print("[ERROR] Create model{kws.axmodel} handle failed.\n[ERROR] Loading model {kws.axmodel} failed.")
        sys.exit(255)
    if wrong == "no_memory":
        print("[ERROR] Memory allocation for tensor {input} failed{0x80060118}.")
        sys.exit(255)
    if wrong == "crash":
        print("Engine push input is done.\n--------------------------------------", flush=True)
        os.kill(os.getpid(), signal.SIGSEGV)
    if wrong == "u16_error":
        print("[ERROR] Run model failed.\n[ERROR] Run model in warmup failed.\n[ERROR] Run model {m} failed.")
        sys.exit(255)
    if wrong == "binary":
        sys.stdout.buffer.write(bytes(range(256)) * 100 + b"\x1b]0;owned\x07\x1b[2J min = 9e999 ms\n")
        sys.exit(0)
    if wrong == "huge":
        while True:
            sys.stdout.write("min = 1 ms " * 10000)
    if feeding and wrong == "hang":
        time.sleep(3600)
    if feeding and wrong in ("drop", "freeze") and once(wrong):
        hit_sshd(signal.SIGKILL if wrong == "drop" else signal.SIGSTOP)
        time.sleep(3600 if wrong == "freeze" else 5)


def start() -> int:
    """Count the starts since the board was booted: some models load twice and not a third time."""
    with (STATE / "starts").open("a+") as file:
        file.write("x")
        return file.tell()


def hit_sshd(what: signal.Signals) -> None:
    """Send a signal to the sshd that serves this connection, the nearest among the parents."""
    pid = os.getpid()
    while pid > 1:
        status = dict(
            line.split(":\t", 1)
            for line in Path(f"/proc/{pid}/status").read_text().splitlines()
            if ":\t" in line
        )
        if status["Name"].startswith("sshd"):
            with (STATE / "stopped").open("a") as file:
                file.write(f"{pid} {os.getpid()}\n")
            os.kill(pid, what)
            return
        pid = int(status["PPid"])


def table(times: list[float]) -> None:
    """Print the times as version 2.3.3sp does, or with `ascending` as 2.5.1a."""
    times.sort(reverse=mode() != "ascending")
    low, high, mean = min(times), max(times), sum(times) / len(times)
    first = f"  min = {low:7.3f} ms   max = {high:7.3f} ms   avg = {mean:7.3f} ms"
    if len(times) < 100:
        print(f"  {'-' * 54}\n{first}\n  {'-' * 54}\n")
        return
    at = {name: times[len(times) * int(name[:-1]) // 100] for name in ("5%", "50%", "90%", "95%", "99%")}
    print(f"  {'-' * 75}\n{first}  median = {at.pop('50%'):7.3f} ms")
    print("   " + "   ".join(f"{name} = {value:7.3f} ms" for name, value in at.items()))
    print(f"  {'-' * 75}\n")


def timed(call, content: bytes) -> tuple[bytes, float]:
    start = time.perf_counter()
    return call(content), (time.perf_counter() - start) * 1000


def repeat(options: dict, call, n_bytes: int) -> int:
    tool = "2.5.1a" if mode() == "ascending" else "2.3.3sp"
    print(HEADER.format(type="1 Core" if mode() == "ascending" else "Half", tool=tool, **options))
    for _ in range(int(options["warmup"])):
        call(bytes(n_bytes))
    table([timed(call, bytes(n_bytes))[1] for _ in range(int(options["repeat"]))])
    return 0


def feed(options: dict, call, n_bytes: int) -> int:
    """Read the list line by line as `std::getline` does: a carriage return stays part of the name."""
    raw = Path(options["list"]).read_bytes()
    names = (raw[:-1] if raw.endswith(b"\n") else raw).split(b"\n") if raw else []
    if not names:
        print(f"[ERROR] Read stimulus list{{{options['list']}}} failed.", file=sys.stderr)
        return 255
    print(f"  Total found {{{len(names)}}} input stimulus folders.")
    times = []
    for position, name in enumerate(names):
        folder = Path(options["input"]) / os.fsdecode(name)
        if not folder.is_dir() or (mode() in ("last_only", "third_single") and position < len(names) - 1):
            sys.stdout.flush()
            sys.stdout.buffer.write(
                b"  Stimulus {" + name + b"} does not has input folder {input/}, skipped.\n"
            )
            continue
        content = (folder / "input.bin").read_bytes()
        if len(content) != n_bytes:
            print(f"[ERROR] Size of stimulus file{{input.bin}} is not equal the specified{{{len(content)}}}.")
            return 255
        answer, ms = timed(call, content)
        times.append(ms)
        target = Path(options["output"]) / os.fsdecode(name)
        target.mkdir(parents=True, exist_ok=True)
        answer = {"short_output": answer[:-4], "nan": b"\0\0\xc0\x7f" * 8}.get(mode(), answer)
        if mode() != "lost_output" or name != b"1":
            (target / "output.bin").write_bytes(answer)
    print(f"  Inferring model, total {len(times)}/{len(names)}. Done.")
    if times:
        table(times)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
