"""What the parameters ask of a machine, told beforehand where it is much."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from kws.params.sections import Rooms
from kws.params.whole import Params

CLIP_SECONDS_A_MINUTE = 3000
"""Made, heard and trained on by two cores with the default network: 22,000 clips of 1 s in 7 minutes."""
ROOM_S = 2.5e-6
"""Of a simulated room, times the cube of its reflections in a row: 0.5 s for 60 of them, 17 s for 200."""
MUCH_GB, MUCH_MINUTES = 20, 60
"""What is worth a word before it is begun."""


@dataclass(frozen=True)
class Cost:
    """Disk and time of a whole run, roughly; the cache counts, which holds what the workspace holds again."""

    clips: int
    gigabytes: float
    minutes: float

    def told_if_large(self, folder: Path) -> str | None:
        """Return a line for a user where this is much, or more than the free space of `folder`."""
        free = shutil.disk_usage(folder).free / 1e9
        if self.gigabytes < min(free, MUCH_GB) and self.minutes < MUCH_MINUTES:
            return None
        hours = f"{self.minutes / 60:.0f} h" if self.minutes >= 120 else f"{self.minutes:.0f} min"
        return (
            f"{self.clips:,} clips take about {self.gigabytes:,.0f} GB of disk with DVC's cache"
            f" ({free:,.0f} GB are free), and a first run about {hours} on two cores"
        )


def cost(params: Params) -> Cost:
    """Return what a first run takes for clips, features and rooms; all else is small beside them."""
    cfg, front_end = params.augment, params.features
    clips = cfg.per_class * len(params.keywords) + cfg.n_background(front_end.clip_s)
    number = 2 if front_end.dtype == "float16" else 4
    size = 2 * front_end.clip_samples + number * front_end.n_frames * front_end.n_mels
    rooms = [_minutes(rooms) for rooms in (cfg.rooms, params.stream.rooms)]
    return Cost(clips, 2 * clips * size / 1e9, clips * front_end.clip_s / CLIP_SECONDS_A_MINUTE + sum(rooms))


def _minutes(rooms: Rooms) -> float:
    """Return the minutes that rooms of the middle size and reverberation take."""
    middle = [(low + high) / 2 for low, high in rooms.size_m]
    return rooms.count * ROOM_S * rooms.reflections(middle, sum(rooms.rt60_s) / 2) ** 3 / 60
