"""The table of docs/models.md: `python -m docs.models`."""

from benchmarks.models import BASELINE, NAMES, exported, latencies, quantised
from kws.targets.graph import macs, n_params, op_counts


def main() -> None:
    """Print a row of the table for each network in conf/model."""
    models = {name: exported(name) for name in NAMES}
    float_ms = latencies(models)
    int8_ms = latencies({name: quantised(model) for name, model in models.items()})
    for name, model in models.items():
        operators = ", ".join(f"{op} {n}" for op, n in op_counts(model.graph.node).items())
        times = [f"{ms[name]:.2f} ({ms[name] / ms[BASELINE]:.2f})" for ms in (float_ms, int8_ms)]
        cells = [name, f"{n_params(model):,}", f"{macs(model) / 1e6:.2f} M", *times, operators]
        print("|", " | ".join(cells), "|")


if __name__ == "__main__":
    main()
