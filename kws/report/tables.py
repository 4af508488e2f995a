"""Results as text for a terminal."""

from kws.board.decode import Decoded, Score
from kws.common.terminal import plain


def probability_table(decoded: Decoded) -> str:
    """Return an output's labels with logit and probability, the likeliest marked."""
    rows = [plain(decoded.file)]
    for label, share in decoded.probabilities.items():
        logit = "" if decoded.logits is None else f"{decoded.logits[label]:10.4f}"
        rows.append(f"  {'>' if label == decoded.label else ' '} {label:12}{logit}  {share:.6f}")
    return "\n".join(rows)


def confusion_table(score: Score) -> str:
    """Return accuracy and confusion, a row for each actual label."""
    width = max(map(len, score.confusion)) + 2
    rows = [f"accuracy {score.accuracy:.1%} of {score.n} inputs, {score.missing} without an output"]
    rows.append("".join(f"{label:>{width}}" for label in ["", *score.confusion]))
    for actual, taken in score.confusion.items():
        rows.append(f"{actual:>{width}}" + "".join(f"{count:>{width}}" for count in taken.values()))
    return "\n".join(rows)
