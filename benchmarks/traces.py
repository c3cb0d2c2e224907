"""Loads to scale by, made from a seed: noisy, stepped, periodic and spiky, in percent of one replica's CPU."""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from pathfinder.controllers.scaling_trace import Trace

STEP_SECONDS = 15.0
HOUR, DAY = int(3600 / STEP_SECONDS), int(86_400 / STEP_SECONDS)

Load = NDArray[np.float64]


def noisy(random: np.random.Generator) -> Load:
    """Six hours about one level, with noise that lasts a minute or two."""
    noise = random.standard_normal(6 * HOUR)
    for row in range(1, len(noise)):
        noise[row] += 0.8 * noise[row - 1]
    return 400 + 60 * noise


def stepped(random: np.random.Generator) -> Load:
    """Eight hours, a new level each half an hour or so, with some noise."""
    length, load = 8 * HOUR, np.empty(8 * HOUR)
    start = 0
    while start < length:
        end = start + int(random.uniform(0.3, 0.8) * HOUR)
        load[start:end] = random.uniform(100, 1000)
        start = end
    return load + 15 * random.standard_normal(length)


def periodic(random: np.random.Generator) -> Load:
    """Four days, quiet at night, with a steep morning, and some noise."""
    at = np.arange(4 * DAY) / DAY
    wave = np.clip(np.sin(2 * np.pi * (at + random.uniform())) * 2.0, -1, 1)
    return 500 + 400 * wave + 20 * random.standard_normal(len(at))


def spiky(random: np.random.Generator) -> Load:
    """Six hours, quiet, with peaks of some minutes."""
    load = 200 + 15 * random.standard_normal(6 * HOUR)
    for _ in range(8):
        start = int(random.uniform(0, len(load) - 1))
        load[start : start + int(random.uniform(1, 6) * 60 / STEP_SECONDS)] += random.uniform(300, 800)
    return load


KINDS: Mapping[str, Callable[[np.random.Generator], Load]] = {
    "noisy": noisy,
    "stepped": stepped,
    "periodic": periodic,
    "spiky": spiky,
}


def made(kind: str, seed: int) -> Trace:
    """The trace of that kind and seed, always the same."""
    load = np.clip(KINDS[kind](np.random.default_rng([seed, list(KINDS).index(kind)])), 1, None)
    at = np.arange(len(load)) * STEP_SECONDS
    return Trace(tuple(at.tolist()), {"cpu": tuple(load.tolist())})
