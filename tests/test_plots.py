"""`dvc plots show` and `dvc plots diff`: every plot of dvc.yaml in a browser, drawn without a network."""

import re
import shutil
from collections import Counter
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from clones import call
from conftest import ROOT
from kws.common.files import write_table
from kws.report.vega import vega

PLOTS = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text())["plots"]
OLD, NEW = "#945dd6", "#13adc7"
"""DVC's first two colours, of the revision before and of this one."""
SCORES = {
    "keyword": [0.0, 0.0, 0.1, 0.4, 0.5],
    "near_miss": [0.7, 0.2, 0.1, 0.0, 0.0],
    "other": [0.9, 0.1, 0.0, 0.0, 0.0],
}
CURVES = ("train_loss", "train_accuracy", "val_loss", "val_accuracy")
WORDS = ("SALIR", "MÚSICA")
SIZE = "path => [path.getBBox().width, path.getBBox().height]"
"""In pixels; a mark that was computed from text has none."""
SVG = """
Object.defineProperty(window, "vegaEmbed", {
  set(draw) { this.draw = draw },
  get() { return this.draw && ((place, spec) => this.draw(place, spec, { renderer: "svg" })) },
})"""
"""DVC's page, but with marks that can be counted."""


def write_reports(folder: Path, step: float) -> None:
    """The tables that plots are drawn from, another one for each step."""
    reports = folder / "reports"
    reports.mkdir(exist_ok=True)
    det = [{"threshold": t, "fa_per_hour": 5 / t, "miss_rate": t * step} for t in (0.1, 0.5, 0.9)]
    write_table(reports / "det.csv", list(det[0]), det)
    scores = [
        {"score": 0.05 * i} | {name: values[i] * step for name, values in SCORES.items()} for i in range(5)
    ]
    write_table(reports / "scores.csv", list(scores[0]), scores)
    named = [{"actual": a, "predicted": p} for a in WORDS for p in (a, a, WORDS[0])]
    write_table(reports / "confusion.csv", list(named[0]), named)
    epochs = [{"epoch": e} | dict.fromkeys(CURVES, step / e) for e in (1, 2, 3)]
    write_table(reports / "training.csv", list(epochs[0]), epochs)


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """A folder with two commits in which DVC has written `shown` and `compared`."""
    folder = tmp_path_factory.mktemp("plots")
    (folder / ".dvc").mkdir()
    shutil.copy(ROOT / ".dvc/config", folder / ".dvc")
    shutil.copytree(ROOT / ".dvc/plots", folder / ".dvc/plots")
    YAML().dump({"plots": PLOTS}, folder / "dvc.yaml")
    for command in (
        ["init", "-q"],
        ["config", "user.name", "test"],
        ["config", "user.email", "test@localhost"],
    ):
        call(folder, "git", *command)
    for step in (1.0, 0.8):
        write_reports(folder, step)
        call(folder, "git", "add", "-A")
        call(folder, "git", "commit", "-qm", str(step))
    call(folder, "dvc", "plots", "show", "--out", "shown")
    call(folder, "dvc", "plots", "diff", "--out", "compared", "HEAD~1", "HEAD")
    (folder / "reports/vega.js").write_text(vega())
    return folder


def plot_of(browser, page: Path, plot: str, from_afar: str = ""):
    """The panel of a plot, and whom the page asked for anything; DVC's own addresses give `from_afar`."""
    tab = browser.new_page()
    asked, failed = [], []
    tab.on("request", lambda request: asked.append(request.url))
    tab.on("pageerror", lambda error: failed.append(str(error)))
    tab.add_init_script(SVG)

    def answer(route):
        script = from_afar if "vega-embed" in route.request.url else ""
        route.fulfill(body=script, content_type="text/javascript") if from_afar else route.abort()

    tab.route(re.compile("^https?:"), answer)
    tab.goto(page.as_uri())
    panel = tab.locator(f"#plot_{plot}, [id$='{plot}']").first
    panel.locator("svg.marks").wait_for(timeout=10_000)
    assert not failed, failed
    return panel, asked


def bars(panel) -> Counter[str]:
    """How many bars of each colour have a width and a height."""
    paths = panel.locator("g.mark-rect.role-mark path").element_handles()
    return Counter(path.get_attribute("fill") for path in paths if min(path.evaluate(SIZE)) > 1)


def lines(panel) -> Counter[str]:
    """How many lines of each colour lead somewhere."""
    paths = panel.locator("g.mark-line.role-mark path").element_handles()
    return Counter(path.get_attribute("stroke") for path in paths if max(path.evaluate(SIZE)) > 4)


def squares(panel) -> int:
    """How many pairs of words have a square, in all revisions together."""
    return len(
        set(
            panel.locator("g.mark-rect.role-mark path").evaluate_all(
                "all => all.map(path => path.getAttribute('d'))"
            )
        )
    )


BARS = sum(value > 0 for values in SCORES.values() for value in values)
DRAWN = {
    "det": (lines, {OLD: 1}, {OLD: 1, NEW: 1}),
    "scores": (bars, {OLD: BARS}, {OLD: BARS, NEW: BARS}),
    "loss": (lines, {OLD: 4}, {OLD: 4, NEW: 4}),  # two curves, each as it is and smoothed
    "accuracy": (lines, {OLD: 4}, {OLD: 4, NEW: 4}),  # two curves, each as it is and smoothed
}
"""What a plot is made of, shown alone and compared; a confusion matrix has a square for each pair."""


def names() -> list[str]:
    return [name for plot in PLOTS for name in plot]


@pytest.mark.parametrize("page", ["shown", "compared"])
@pytest.mark.parametrize("plot", names())
def test_every_plot_is_drawn_without_a_network(browser, pages, plot, page):
    panel, asked = plot_of(browser, pages / page / "index.html", plot)
    assert {url.split(":")[0] for url in asked} == {"file"}
    if plot.startswith("confusion"):
        assert squares(panel) == len(WORDS) ** 2
        return
    marks, alone, compared = DRAWN[plot]
    assert marks(panel) == (alone if page == "shown" else compared)


@pytest.mark.parametrize("plot", [name for name in names() if name.startswith("confusion")])
def test_a_row_of_a_confusion_matrix_is_what_was_said(browser, pages, plot):
    """In both alike, and as on the page; DVC's shares are those of a row."""
    panel, _ = plot_of(browser, pages / "shown/index.html", plot)
    told = panel.locator("g.mark-rect.role-mark path").evaluate_all(
        "all => all.map(path => path.getAttribute('aria-label'))"
    )
    axes = panel.locator("g.role-axis").evaluate_all(
        "all => all.map(axis => axis.getAttribute('aria-label'))"
    )
    assert sorted(axis.split(" for ")[0] for axis in axes) == [
        "X-axis titled 'predicted'",
        "Y-axis titled 'actual'",
    ]
    shares = (1.0, 1 / 3) if "normalised" in plot else (3, 1)
    for actual, value in zip(WORDS, shares, strict=True):
        start = f"predicted: SALIR; actual: {actual}; "
        found = {float(text.rpartition(": ")[2]) for text in told if text.startswith(start)}
        assert any(value == pytest.approx(one, abs=1e-6) for one in found), told


def test_where_no_run_has_brought_vega_dvc_s_own_addresses_do(browser, pages, tmp_path):
    elsewhere = tmp_path / "deep/page"
    shutil.copytree(pages / "compared", elsewhere)
    panel, asked = plot_of(browser, elsewhere / "index.html", "scores", from_afar=vega())
    assert [url.split("/")[2] for url in asked if url.startswith("https")] == ["cdn.jsdelivr.net"] * 3
    assert bars(panel) == DRAWN["scores"][2]
