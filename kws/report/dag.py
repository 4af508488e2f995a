"""The pipeline as a picture: the stages of dvc.yaml in layers, and where the arrows between them run."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import groupby, pairwise
from statistics import fmean

from ruamel.yaml import YAML

WIDTH, HEIGHT = 98, 40
"""of a stage's box, in pixels"""
ACROSS, DOWN, LANE = 30, 22, 12
"""between layers, between boxes of a layer, and for an arrow that passes a layer"""
MARGIN = 10
SWEEPS = 12


@dataclass(frozen=True)
class Stage:
    """A stage of dvc.yaml; one with `matrix` or `foreach` counts once."""

    name: str
    each: str
    """what it is repeated for, such as `label`; empty if it is not"""
    command: str
    deps: tuple[str, ...]
    outs: tuple[str, ...]


@dataclass(frozen=True)
class Edge:
    """One stage reads what another writes."""

    source: str
    target: str
    files: tuple[str, ...]


@dataclass(frozen=True)
class Box:
    """A stage, the top left corner of its box, and the box's size."""

    stage: Stage
    x: float
    y: float
    width: int = WIDTH
    height: int = HEIGHT


@dataclass(frozen=True)
class Arrow:
    """An edge and the SVG path it takes."""

    edge: Edge
    path: str
    implied: bool
    """whether other arrows already say that the source comes before the target"""


@dataclass(frozen=True)
class Drawing:
    """A picture of a pipeline, sizes in pixels."""

    boxes: list[Box]
    arrows: list[Arrow]
    width: float
    height: float


def read_stages(dvc_yaml: str) -> list[Stage]:
    """Return the stages in the text of a dvc.yaml, in its order."""
    stages = []
    for name, entry in YAML(typ="safe", pure=True).load(dvc_yaml)["stages"].items():
        body = entry.get("do", entry)
        each = ", ".join(entry.get("matrix", [])) or str(entry.get("foreach", "")).strip("${}")
        deps, outs = (tuple(map(_path, body.get(key, []))) for key in ("deps", "outs"))
        stages.append(Stage(name, each, body["cmd"], deps, outs))
    return stages


def find_edges(stages: list[Stage]) -> list[Edge]:
    """Return who reads whose outputs: the same path, a folder around it or a file in it."""
    edges = []
    for source in stages:
        for target in stages:
            files = tuple(out for out in source.outs if any(_overlap(out, dep) for dep in target.deps))
            if files and source is not target:
                edges.append(Edge(source.name, target.name, files))
    return edges


def layers(stages: list[Stage], edges: list[Edge]) -> dict[str, int]:
    """Return each stage's layer: after all that it reads from; as late as possible if it reads nothing."""
    before = {s.name: {e.source for e in edges if e.target == s.name} for s in stages}
    after = {s.name: {e.target for e in edges if e.source == s.name} for s in stages}
    found: dict[str, int] = {}

    def depth(name: str) -> int:
        if name not in found:
            found[name] = max((depth(other) + 1 for other in before[name]), default=0)
        return found[name]

    for stage in stages:
        depth(stage.name)
    late = {n: min(found[a] for a in after[n]) - 1 for n in found if after[n] and not before[n]}
    first = min((found | late).values(), default=0)
    return {name: layer - first for name, layer in (found | late).items()}


def draw(stages: list[Stage]) -> Drawing:
    """Lay the stages out from left to right.

    Layers as Sugiyama has them (IEEE Trans. SMC 11, 1981): arrows that pass a layer get a place in it; the
    order in a layer is that of the mean of the neighbours, and so, as far as there is room, is the height.
    """
    edges = find_edges(stages)
    layer = layers(stages, edges)
    chains = {edge: _chain(edge, layer) for edge in edges}
    nodes = [(layer[s.name], s.name) for s in stages]
    nodes += [node for chain in chains.values() for node in chain[1:-1]]
    links = [link for chain in chains.values() for link in pairwise(chain)]
    heights = _place(nodes, links)
    top = min((y - _half(node) for node, y in heights.items()), default=0) - MARGIN
    bottom = max((y + _half(node) for node, y in heights.items()), default=0) + MARGIN

    def left(depth: int) -> float:
        return MARGIN + depth * (WIDTH + ACROSS)

    def path(chain: list[Node]) -> str:
        points = [(left(depth), heights[depth, name] - top) for depth, name in chain]
        start = f"M{points[0][0] + WIDTH:.1f} {points[0][1]:.1f}"
        return start + "".join(_curve(a, b) for a, b in pairwise(points))

    boxes = [Box(s, left(layer[s.name]), heights[layer[s.name], s.name] - top - HEIGHT / 2) for s in stages]
    arrows = [Arrow(edge, path(chain), _implied(edge, edges)) for edge, chain in chains.items()]
    return Drawing(boxes, arrows, left(max(layer.values(), default=0)) + WIDTH + MARGIN, bottom - top)


Node = tuple[int, str]
"""A layer, and the name of a stage or `source>target` where an arrow passes."""


def _path(entry: str | dict[str, object]) -> str:
    return entry if isinstance(entry, str) else next(iter(entry))


def _overlap(a: str, b: str) -> bool:
    return a == b or a.startswith(f"{b}/") or b.startswith(f"{a}/")


def _implied(edge: Edge, edges: list[Edge]) -> bool:
    """Say whether a longer way leads from an edge's source to its target."""
    todo = [e.target for e in edges if e.source == edge.source and e.target != edge.target]
    seen = set(todo)
    while todo:
        name = todo.pop()
        new = {e.target for e in edges if e.source == name} - seen
        seen |= new
        todo += new
    return edge.target in seen


def _chain(edge: Edge, layer: dict[str, int]) -> list[Node]:
    first, last = layer[edge.source], layer[edge.target]
    passing = [(depth, f"{edge.source}>{edge.target}") for depth in range(first + 1, last)]
    return [(first, edge.source), *passing, (last, edge.target)]


def _half(node: Node) -> float:
    return LANE / 2 if ">" in node[1] else (HEIGHT + DOWN) / 2


def _place(nodes: list[Node], links: list[tuple[Node, Node]]) -> dict[Node, float]:
    """Return the height of each node's middle: sweeps to and fro pull it to its neighbours."""
    columns = [list(group) for _, group in groupby(sorted(nodes), key=lambda node: node[0])]
    before = {node: [a for a, b in links if b == node] for node in nodes}
    after = {node: [b for a, b in links if a == node] for node in nodes}
    heights: dict[Node, float] = {}
    for column in columns:
        heights |= _stack(column, lambda _: 0)
    for sweep in range(SWEEPS):
        neighbours, order = (before, columns) if sweep % 2 == 0 else (after, columns[::-1])
        for column in order:
            wanted = {n: fmean([heights[m] for m in neighbours[n]] or [heights[n]]) for n in column}
            heights |= _stack(sorted(column, key=wanted.__getitem__), wanted.__getitem__)
    return heights


def _stack(column: Iterable[Node], wanted: Callable[[Node], float]) -> dict[Node, float]:
    """Return heights in this order that do not overlap, on average where they are wanted."""
    placed: dict[Node, float] = {}
    edge = float("-inf")
    for node in column:
        placed[node] = max(wanted(node), edge + _half(node))
        edge = placed[node] + _half(node)
    shift = fmean([wanted(node) - y for node, y in placed.items()])
    return {node: y + shift for node, y in placed.items()}


def _curve(a: tuple[float, float], b: tuple[float, float]) -> str:
    """Return the path from one box's right side to the next one's left, level at both ends."""
    start, middle, end = a[0] + WIDTH, (a[0] + WIDTH + b[0]) / 2, b[0]
    return f"L{start:.1f} {a[1]:.1f}C{middle:.1f} {a[1]:.1f} {middle:.1f} {b[1]:.1f} {end:.1f} {b[1]:.1f}"
