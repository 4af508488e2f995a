"""What the compiled model would answer: `pulsar2 run`, said to be equal to the board to the bit."""

import shutil
from pathlib import Path

from kws.board.inputs import check_list, folders, read_outputs
from kws.common.errors import UserError
from kws.common.programs import last_line
from kws.common.types import Logits
from kws.params.sections import Ax630c, Ax650n
from kws.targets.toolchain import toolchain_for

_S_PER_INPUT = 2.0


def simulate(
    name: str, axmodel: Path, inputs: Path, n_labels: int, target: Ax630c | Ax650n, job: Path
) -> Logits:
    """Run all of `inputs` (input/, list.txt) and return logits float32 [n, n_labels].

    Raises UserError where Pulsar2 fails or leaves an input without an answer.
    """
    tools = toolchain_for(name, target.image)
    check_list(inputs / "list.txt")
    shutil.copytree(inputs / "input", job / "in/input")
    shutil.copyfile(inputs / "list.txt", job / "in/list.txt")
    shutil.copyfile(axmodel, job / "in" / axmodel.name)
    (job / "out/tmp").mkdir(parents=True)
    root, wanted = tools.root(job), folders(inputs / "list.txt")
    arguments = [
        *("run", "--model", f"{root}/in/{axmodel.name}", "--input_dir", f"{root}/in/input"),
        *("--output_dir", f"{root}/out/output", "--list", f"{root}/in/list.txt"),
    ]
    done = tools.run(job, arguments, target.timeout_min * 60 + _S_PER_INPUT * len(wanted))
    if not done.ok:
        raise UserError(f"target.{name}: `pulsar2 run` {done.how()}: {last_line(done.err or done.out)}")
    answers = {i: p for i in wanted if (p := job / "out/output" / i / "output.bin").is_file()}
    return read_outputs({i: p.read_bytes() for i, p in answers.items()}, wanted, n_labels, f"target.{name}")
