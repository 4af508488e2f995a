"""What a Pulsar2 build says: facts, progress, and one line for a failure."""

import re
from typing import Any

from kws.common.programs import LINE

CAUSES: list[tuple[str, str]] = [
    (r"ocm alloc", "the on-chip memory is too small in this mode; try npu_mode NPU2, or a smaller network"),
    (r"TileFailException", "a layer fits the chip in no way; try precision u16, or another layer"),
    (r"dont support (\w+) opr", "an operator that Pulsar2 does not know; remove it from the network"),
    (r"has dtype\(", "the calibration archive is of another type or shape than the model's input"),
    (r"No space left", "the disk is full"),
    (r"\bQuantError\b", "calibration data that do not fit the model's input; check calibration_format"),
    (r"\bFrontendError\b", "an operator or an attribute that Pulsar2 cannot read; check the ONNX"),
    (r"\bOnnxOptimizationError\b", "a graph that the simplifier rejects; check the ONNX"),
    (r"\bNPUBackendError\b", "a layer that does not fit the NPU; try another npu_mode or precision"),
]
"""Pattern in an error and its usual cause; the first that matches counts."""

_CODE = re.compile(r"CodeException: \(<ErrorCode\.(\w+): \d+>, (.*)\)\s*$", re.MULTILINE)
_RAISED = re.compile(r"^(?:[\w.]+\.)?(\w*(?:Error|Exception|Interrupt)\b.*)$", re.MULTILINE)
_NUMBERS = {
    "macs": r"QuantAxModel macs: ([\d,]+)",
    "max_cycle": r"max_cycle = ([\d,]+)",
    "ops": r"Num of Op:\s*\[(\d+)\]",
    "quantised_ops": r"Num of Quantized Op:\s*\[(\d+)\]",
    "fp32_configs": r"^FP32:\s*\[(\d+)\]",
    "calibration_samples": r"Calibration Progress[^\n]*\b(\d+)/\1\b",
    "mcode_kib": r"Total mcode size: ([\d,]+) KiB",
}
_PROGRESS = re.compile(
    r"\| (?:INFO|SUCCESS) +\| \S+ - (.*)|^(\[\d\d:\d\d:\d\d\] .*) Running|^(\w[\w ]*\.\.\.)\s"
)


def facts(log: str) -> dict[str, Any]:
    """Return the numbers of a build that its log holds, by name; what it does not say is left out.

    `fp32_configs` are quantiser settings that stay in float: an "INT8" GRU has some. `subgraphs` names the
    processor of each part, so anything but NPU shows.
    """
    found: dict[str, Any] = {}
    for name, pattern in _NUMBERS.items():
        if matches := re.findall(pattern, log, re.MULTILINE):
            found[name] = int(matches[-1].replace(",", "")[:15])
    if {"ops", "quantised_ops"} <= found.keys():
        found["float_ops"] = found["ops"] - found["quantised_ops"]
    if subgraphs := re.findall(r"subgraph \[\d+\].*type: GraphType\.(\w+)", log):
        found["subgraphs"] = subgraphs
    return found


def precision_table(text: str) -> list[dict[str, Any]]:
    """Return the rows of a precision analysis, `{op, tensor, cosine, mse}`, from its drawn table.

    Columns are found by their titles; a row without a number under the cosine is passed over.
    """
    rows = [[cell.strip() for cell in re.split(r"[│┃|]", line)[1:-1]] for line in text.split("\n")]
    titles: dict[str, int] = {}
    table = []
    for cells in rows:
        lower = [cell.lower() for cell in cells]
        if any("cosin" in cell for cell in lower):
            names = {"op": "op", "tensor": "tensor", "cosin": "cosine", "mse": "mse"}
            titles = {
                names[part]: column
                for part in names
                for column in reversed(range(len(lower)))
                if part in lower[column]
            }
        elif titles and len(cells) > max(titles.values()):
            row: dict[str, Any] = {name: cells[column] for name, column in titles.items()}
            numbers = {name: _number(row[name]) for name in ("cosine", "mse") if name in row}
            if numbers["cosine"] is not None:
                table.append(row | numbers)
    return table


def progress(line: str) -> str | None:
    """Return what a line of the log tells someone who waits, or None."""
    if match := _PROGRESS.search(line):
        return next(group for group in match.groups() if group)[:100]
    return None


def failure(log: str, code: int) -> str:
    """Return what failed and its usual cause, in one line, from a failed build's log and exit status."""
    if code in (137, -9):
        return "was killed (exit status 137), mostly for lack of memory; give the container 8 GB or more"
    if code in (125, 126, 127) and not _CODE.search(log):
        lines = [line.strip() for line in log.split("\n") if line.strip()] or ["it printed nothing"]
        return f"could not be started: {lines[-1][:LINE]}"
    if coded := _CODE.findall(log):
        kind, detail = coded[-1]
        what = f"stopped with {kind}: {detail}"
    elif raised := _RAISED.findall(log):
        what = f"stopped with {raised[-1]}"
    else:
        return f"ended with exit status {code} and no error message"
    cause = next((cause for pattern, cause in CAUSES if re.search(pattern, what)), None)
    return what[:LINE] + (f"; the usual cause: {cause}" if cause else "")


def _number(text: str) -> float | None:
    return float(text) if re.fullmatch(r"-?\d{1,12}(\.\d{1,15})?(e[-+]?\d{1,2})?", text.lower()) else None
