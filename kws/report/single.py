"""One recording's log-mel, to look at or to use elsewhere."""

from pathlib import Path

from kws.common.arrays import write_array
from kws.common.errors import UserError
from kws.common.files import replacing
from kws.features.logmel import FrontEnd, features, log_mel
from kws.recordings.audio import read_audio

LONGEST_S = 60


def show_features(
    recording: Path, front_end: FrontEnd, decibels: bool, out: Path | None, plot: Path | None
) -> str:
    """Return what there is to say of a recording's log-mel; write it, float32 [frames, n_mels], and draw it.

    It is normalised as for the model, over the recording's whole length, or left in dB.
    Raises UserError for a recording shorter than a frame or longer than a minute.
    """
    audio = read_audio(recording, front_end.sample_rate)
    seconds = len(audio) / front_end.sample_rate
    if not front_end.window <= len(audio) <= LONGEST_S * front_end.sample_rate:
        raise UserError(f"{recording}: is {seconds:.3f} s long; expected one frame to {LONGEST_S} s")
    mel = (log_mel if decibels else features)(audio, front_end)
    if out:
        with replacing(out) as partial:
            write_array(partial, mel.shape, mel.dtype, [mel])
    if plot:
        from kws.runtime.plot import plot_features

        plot_features(plot, recording, audio, mel, front_end, decibels)
    unit = "dB" if decibels else f"after {front_end.norm}"
    return (
        f"{recording}: {seconds:.2f} s, {mel.shape[0]} frames of {mel.shape[1]} bands, "
        f"{mel.min():.1f} to {mel.max():.1f} {unit}"
    )
