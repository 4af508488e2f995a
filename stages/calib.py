"""Pick what calibrates the quantiser and what measures it: data/calib/."""

import csv
from pathlib import Path

from kws.augment.sources import TRAIN
from kws.board import choose_inputs, write_inputs
from kws.calibration import take_samples, write_tar
from kws.config import load_params
from kws.evalset import load_eval_words, load_near_misses
from kws.files import replacing
from stages import paths, run
from stages.data import dataset


def main() -> None:
    """Write calib_kws.tar of training clips with its manifest, and held-out clips for the board."""
    params = load_params(paths.PARAMS)
    labels, train = params.labels, dataset(params, TRAIN)
    samples, positions = take_samples(train, params.calib.size, params.seed)
    where = (Path(params.data.eval), labels, params.background, params.features)
    inputs = choose_inputs(
        load_eval_words(*where), load_near_misses(*where), params.calib.board_inputs, params.seed
    )
    with replacing(paths.CALIB) as folder:
        folder.mkdir()
        write_tar(folder / "calib_kws.tar", samples)
        with (folder / "manifest.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["file", "label", "clip"])
            for index, position in enumerate(positions):
                writer.writerow(
                    [f"input_{index:05d}.npy", labels[train.labels[position]], train.rows[position]]
                )
        write_inputs(folder, inputs, labels)


if __name__ == "__main__":
    run(main)
