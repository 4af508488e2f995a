"""Train the network: models/kws.pt, the curves reports/training.csv, and live numbers for `dvc exp show`."""

import csv
from collections.abc import Callable
from dataclasses import astuple, fields
from functools import cache, partial

import torch
from dvclive.live import Live

from kws.augment.splits import TRAIN, VAL
from kws.common.files import remove, replacing
from kws.models import build_model
from kws.models.encoder import Encoder
from kws.params.whole import load_params
from kws.training.best import Fit
from kws.training.checkpoint import Checkpoint, save_checkpoint
from kws.training.objective import Epoch
from kws.training.resume import code, fingerprint
from kws.training.transfer import load_encoder, start_from
from stages import paths, run
from stages.data import dataset


def main() -> None:
    """Fit the training split, from where a killed run left off; the weights that validate best are kept."""
    params = load_params(paths.PARAMS)
    torch.manual_seed(params.seed)
    front_end, cfg, seed = params.features, params.train, params.seed
    background, names = params.labels.index(params.background), [*params.labels, paths.HARD]
    network = build_model(params.model, front_end.n_frames, front_end.n_mels, len(params.labels))
    fit: Callable[..., Fit | None]
    if isinstance(network, Encoder):  # it is frozen, and has heard each clip already
        from kws.training.prototypes import fit_prototypes

        start_from(network, load_encoder(paths.ENCODER), front_end)
        shard = paths.heard
        fit = partial(fit_prototypes, network, cfg=cfg)
    else:
        from kws.training.loop import fit as fit_network  # with Lightning, which takes seconds to load

        shard = paths.features
        fit = partial(fit_network, network, cfg=cfg, machine=params.trainer)
    files = [path(name) for path in (shard, paths.manifest) for name in names]
    files += [paths.ENCODER] * isinstance(network, Encoder) + code("kws", "stages")
    of = (seed, params.labels, params.background, front_end, params.model, cfg, params.trainer)
    resume = paths.RESUME / f"{fingerprint(files, *of)}.ckpt"
    train, val = (dataset(params, split, shard) for split in (TRAIN, VAL))
    best = fit(train, val, seed=seed, background=background, on_epoch=_record, resume=resume)
    if best is None:  # another process of this training writes the outputs
        return
    with replacing(paths.CHECKPOINT) as partial_:
        state = network.state_dict() | best.state
        save_checkpoint(Checkpoint(state, params.labels, params.model, front_end), partial_)
    _live().end()  # type: ignore[no-untyped-call]
    remove(paths.RESUME)


@cache
def _live() -> Live:
    """Return the writer of reports/live/metrics.json; it changes neither dvc.yaml nor experiments."""
    return Live(str(paths.LIVE), dvcyaml=None, save_dvc_exp=False)


def _record(rows: list[Epoch], kept: Epoch) -> None:
    with replacing(paths.TRAINING) as partial, partial.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(field.name for field in fields(Epoch))
        writer.writerows(astuple(row) for row in rows)
    live = _live()
    for name, row in (("", rows[-1]), ("kept/", kept)):
        for field in fields(Epoch):
            live.log_metric(name + field.name, getattr(row, field.name), plot=False)
    live.step = rows[-1].epoch
    live.next_step()  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    run(main)
