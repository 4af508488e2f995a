"""Bundle what draws the charts of the page and of DVC's plots: reports/vega.js."""

from kws.common.files import replacing
from kws.report.vega import vega
from stages import paths, run


def main() -> None:
    """Write Vega as one script."""
    with replacing(paths.VEGA) as partial:
        partial.write_text(vega(), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    run(main)
