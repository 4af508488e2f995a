"""Pick what calibrates the quantiser and what measures it: data/calib/."""

import csv
import warnings
from pathlib import Path

from kws.augment.splits import TRAIN, VAL
from kws.board.inputs import write_inputs
from kws.common.files import replacing
from kws.evaluation.recordings import EvalSet, choose_inputs, find_near_misses, find_words, read_features
from kws.params.whole import load_params
from kws.targets.calibration import stratified, write_tar
from stages import paths, run
from stages.data import dataset


def main() -> None:
    """Write calib_kws.tar of training clips with its manifest, and held-out clips for the board."""
    params = load_params(paths.PARAMS)
    labels, train = params.labels, dataset(params, TRAIN)
    positions = stratified(train.labels, params.calib.samples, params.seed)
    where, size = (Path(params.data.eval), labels, params.background), params.calib.board_inputs
    with warnings.catch_warnings(action="ignore"):  # `evaluate` says what is missing
        inputs = choose_inputs(find_words(*where), find_near_misses(*where), size, params.seed)
    features = read_features(where[0], inputs, params.features)
    if not len(inputs):
        warnings.warn(f"{params.data.eval}: no clips, so validation clips go to the board", stacklevel=1)
        val = dataset(params, VAL)
        features, actual = val.take(stratified(val.labels, min(size, len(val)), params.seed))
        inputs = EvalSet(actual, *[["validation"] * len(actual)] * 2)
    with replacing(paths.CALIB) as folder:
        folder.mkdir()
        shards = [*labels, paths.HARD]
        write_tar(folder / "calib_kws.tar", train.take(positions)[0])
        with (folder / "manifest.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["file", "shard", "clip"])
            for index, position in enumerate(positions):
                writer.writerow(
                    [f"input_{index:05d}.npy", shards[train.where[position]], train.rows[position]]
                )
        write_inputs(folder, features, [labels[i] for i in inputs.labels], inputs.files)


if __name__ == "__main__":
    run(main)
