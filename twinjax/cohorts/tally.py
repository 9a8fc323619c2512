"""How an output is distributed over patients at each time, from counts alone: the same whatever the order.

A value is counted in a bin made of its sign, its exponent and the leading bits of its mantissa. Bins are the same for
everybody, so counts are whole numbers that add up in any order to the same totals, and a quantile read off them is as
close as a bin is narrow: with 9 bits of mantissa within 2**-10 of its value (0.098 %), with all 52 exact.
"""

from __future__ import annotations

import abc
import dataclasses
import itertools
from typing import Any

import numpy as np

MANTISSA = 52
COARSE = 9
"""Bits of mantissa where there are many values."""

_TILE = 1 << COARSE
_SIGN = 1 << 11


@dataclasses.dataclass(frozen=True)
class Counts:
    """How many values each bin holds, for each of several series (an output at a time), in runs of neighbouring bins.

    **Parameters**: `bits` of mantissa; `series` and `bin` `(runs,)`, sorted, `bin` the first of each run; `count`
    `(runs, bins)`. Bins are numbered in the order of their values, those of negative values below zero.
    """

    bits: int
    series: np.ndarray
    bin: np.ndarray
    count: np.ndarray

    @property
    def error(self) -> float:
        """Largest relative distance of a value from the middle of its bin."""
        return 0.0 if self.bits == MANTISSA else 2.0 ** -(self.bits + 1)

    def quantiles(self, levels: tuple[float, ...], series: int) -> np.ndarray:
        """Quantiles `(levels, series)` with straight lines between neighbouring values, as `numpy.quantile`; nan for
        a series without values.
        """
        found = np.full((len(levels), series), np.nan)
        edges = np.searchsorted(self.series, np.arange(series + 1))
        for s, (first, end) in enumerate(itertools.pairwise(edges)):
            run, place = np.nonzero(self.count[first:end])
            if not len(run):
                continue
            value = middles(self.bin[first:end][run] + place, self.bits)
            upto = np.cumsum(self.count[first:end][run, place])
            rank = np.asarray(levels) * (upto[-1] - 1)
            below = np.floor(rank).astype(np.int64)
            above = np.minimum(below + 1, upto[-1] - 1)
            low, high = (value[np.searchsorted(upto, r, side="right")] for r in (below, above))
            found[:, s] = low + (rank - below) * (high - low)
        return found


def middles(bin: np.ndarray, bits: int) -> np.ndarray:
    """The value that stands for each bin."""
    shift = MANTISSA - bits
    size = np.where(bin < 0, -bin - 1, bin)
    half = 1 << shift - 1 if shift else 0
    # The bin that begins at zero stands for zero: what else is in it lies below 1e-300.
    middle = np.where(size == 0, 0.0, ((size << shift) + half).view(np.float64))
    return np.where(bin < 0, -middle, middle)


class AbstractTally(abc.ABC):
    """Counts that grow, for so many `series`."""

    bits: int
    width: int
    """Bins in a run."""
    series: int

    @abc.abstractmethod
    def add(self, values: np.ndarray) -> None:
        """Count finite values `(patients, series)`."""

    @abc.abstractmethod
    def merge(self, counts: Counts) -> None:
        """Add what was counted elsewhere, with the same bits."""

    @abc.abstractmethod
    def counts(self) -> Counts:
        """What was counted."""


class Tally(AbstractTally):
    """Counts in bins of `COARSE` bits.

    Memory follows what is met, counters for each power of two that a series has had a value in: 30 kB a series for
    concentrations over four decades.

    **Parameters**: `series`; `counter`, the whole number that a bin is counted with.
    """

    bits, width = COARSE, _TILE

    def __init__(self, series: int, counter: Any = np.int64) -> None:
        self.series = series
        self._tile = np.full(series * 2 * _SIGN, -1, np.int32)
        self._counts = np.zeros((0, _TILE), counter)
        self._rows = np.arange(series, dtype=np.int32) * (2 * _SIGN)

    def add(self, values):
        """By the leading bits of each."""
        if not len(values):
            return
        bits = np.ascontiguousarray(values, np.float64).view(np.uint64) >> np.uint64(MANTISSA - COARSE)
        leading = bits.astype(np.int32)
        tile = self._tiles(self._rows + (leading >> COARSE)).astype(np.intp)
        flat = (tile << COARSE) + (leading & (_TILE - 1))
        np.add.at(self._counts.reshape(-1), flat.reshape(-1), self._counts.dtype.type(1))

    def merge(self, counts):
        """Run by run."""
        negative = counts.bin < 0
        exponent = np.where(negative, _SIGN + (-counts.bin - _TILE >> COARSE), counts.bin >> COARSE)
        tile = self._tiles((counts.series * (2 * _SIGN) + exponent).astype(np.int32))
        self._counts[tile] += np.where(negative[:, None], counts.count[:, ::-1], counts.count)

    def counts(self):
        """A run for each sign and exponent."""
        place = np.flatnonzero(self._tile >= 0)
        series, exponent = np.divmod(place, 2 * _SIGN)
        negative = exponent >= _SIGN
        bin = np.where(negative, -(exponent - _SIGN << COARSE) - _TILE, exponent << COARSE)
        count = self._counts[self._tile[place]]
        count[negative] = count[negative, ::-1]
        order = np.lexsort((bin, series))
        return Counts(COARSE, series[order], bin[order], count[order])

    def _tiles(self, place: np.ndarray) -> np.ndarray:
        """Where the counters of these series and exponents lie, made where there are none yet."""
        tile = self._tile.take(place)
        if tile.size and tile.min() < 0:
            new = np.unique(place[tile < 0])
            self._tile[new] = len(self._counts) + np.arange(len(new), dtype=np.int32)
            self._counts = np.concatenate([self._counts, np.zeros((len(new), _TILE), self._counts.dtype)])
            tile = self._tile.take(place)
        return tile


class Exactly(AbstractTally):
    """Every value a bin of its own: for few values."""

    bits, width = MANTISSA, 1

    def __init__(self, series: int) -> None:
        self.series = series
        nothing = np.zeros(0, np.int64)
        self._counts = Counts(MANTISSA, nothing, nothing, nothing[:, None])

    def add(self, values):
        """As whole numbers of the same order."""
        size = np.ascontiguousarray(values, np.float64).view(np.int64) & np.int64(2**63 - 1)
        bin = np.where(np.signbit(values), -size - 1, size).reshape(-1)
        series = np.broadcast_to(np.arange(self.series), values.shape).reshape(-1)
        self.merge(Counts(MANTISSA, series, bin, np.ones((len(bin), 1), np.int64)))

    def merge(self, counts):
        """Sorted, equal values joined."""
        own = self._counts
        series, bin = np.concatenate([own.series, counts.series]), np.concatenate([own.bin, counts.bin])
        order = np.lexsort((bin, series))
        series, bin, count = series[order], bin[order], np.concatenate([own.count, counts.count])[order]
        other = np.ones(len(bin), bool)
        other[1:] = (np.diff(series) != 0) | (np.diff(bin) != 0)
        first = np.flatnonzero(other)
        total = np.add.reduceat(count, first) if len(first) else count
        self._counts = Counts(MANTISSA, series[first], bin[first], total)

    def counts(self):
        """A run for each value."""
        return self._counts


@dataclasses.dataclass(frozen=True)
class Moments:
    """Number, mean and sum of squared deviations of each series, `(series,)`; groups are joined pair by pair, in the
    order of patients, so the last digit is the same too.

    **Reference**: Chan, Golub & LeVeque 1983, doi:10.1080/00031305.1983.10483115.
    """

    number: np.ndarray
    mean: np.ndarray
    squares: np.ndarray

    @staticmethod
    def none(series: int) -> Moments:
        """Of no values."""
        return Moments(np.zeros(series, np.int64), np.zeros(series), np.zeros(series))

    @staticmethod
    def of(values: np.ndarray) -> Moments:
        """Of values `(patients, series)`."""
        n, series = values.shape
        if n == 0:
            return Moments.none(series)
        mean = values.sum(axis=0) / n
        away = values - mean
        return Moments(np.full(series, n), mean, np.einsum("ps,ps->s", away, away))

    def __add__(self, other: Moments) -> Moments:
        """Of both."""
        number = self.number + other.number
        share = other.number / np.maximum(number, 1)
        apart = other.mean - self.mean
        squares = self.squares + other.squares + apart * apart * self.number * share
        return Moments(number, self.mean + apart * share, squares)

    @property
    def sd(self) -> np.ndarray:
        """Standard deviation with n - 1; nan of fewer than two."""
        spread = np.where(self.number > 1, self.squares, np.nan) / np.maximum(self.number - 1, 1)
        return np.sqrt(spread)
