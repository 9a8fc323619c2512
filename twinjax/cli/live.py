"""A search as it runs, on a terminal: where it is, and how the objective, the gradient or the parameters went."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from twinjax.cli.terminal import duration, stderr

if TYPE_CHECKING:
    from twinjax.progress import Search

_BARS = "▁▂▃▄▅▆▇█"
_PARAMETERS = 10
"""More parameters than this are not drawn: those that moved most are."""


def progress(search: Search) -> Any:
    """A live trace on stderr; nothing where stderr is no terminal."""
    from rich.console import Group
    from rich.live import Live
    from rich.spinner import Spinner
    from rich.text import Text

    console, began, spinner = stderr(), time.monotonic(), Spinner("dots")

    def shown() -> Any:
        spinner.update(text=Text(progress_line(search, time.monotonic() - began)))
        lines = trace_lines(search, max(10, min(60, console.width - 40)))
        return Group(spinner, *(Text(line, style="cyan", no_wrap=True) for line in lines))

    if not console.is_terminal:
        return contextlib.nullcontext()
    return Live(get_renderable=shown, console=console, refresh_per_second=8, transient=True)


def progress_line(search: Search, elapsed: float) -> str:
    """Where a search is: iteration, objective, gradient, rate, and about how long it may still take."""
    if not search.history:
        return f"compiling, and a first look at the data: {duration(elapsed)}"
    last = search.history[-1]
    objective = [] if math.isnan(last.objective) else [f"objective {last.objective:.3f}"]
    if not search.searching:
        return "; ".join([*objective, f"standard errors, about {duration(search.covariance_seconds)}"])
    start = f"start {last.start + 1} of {search.starts}, " if search.starts > 1 else ""
    parts = [f"{start}iteration {last.step}", *objective]
    if not math.isnan(last.gradient):
        parts.append(f"largest gradient {last.gradient:.2g}")
    if math.isfinite(search.rate):
        parts.append(f"{search.rate:.1f} iterations/s")
    if math.isfinite(search.remaining):
        parts.append(f"about {duration(search.remaining)} left")
    return ", ".join(parts)


def trace_lines(search: Search, width: int) -> list[str]:
    """How the search went, a line of bars each: the objective above its least value and the largest gradient, both as
    logarithms; of a method without an objective every parameter from its lowest to its highest value.
    """
    own = [h for h in search.history if h.stage == search.stage]
    if own and search.starts > 1:
        own = [h for h in own if h.start == own[-1].start]
    if len(own) < 2:
        return []
    f = np.asarray([h.objective for h in own])
    if not np.isnan(f).any():
        above = np.log10(np.maximum(f - f.min(), 1e-6))
        found = [("objective", sparkline(above, width), f"{f[-1]:.3f}, from {f[0]:.3f}")]
        g = np.asarray([h.gradient for h in own])
        if np.all(g > 0):
            found.append(("gradient", sparkline(np.log10(g), width), f"{g[-1]:.2g}, from {g[0]:.2g}"))
    else:
        traces = search.traces
        moved = {n: np.ptp(v) / (np.mean(np.abs(v)) or 1.0) for n, v in traces.items()}
        kept = set(sorted(moved, key=lambda n: -moved[n])[:_PARAMETERS])
        found = [(n, sparkline(v, width), f"{v[-1]:.4g}") for n, v in traces.items() if n in kept]
    wide = max(len(name) for name, _, _ in found)
    return [f"{name.ljust(wide)}  {bars}  {value}" for name, bars, value in found]


def sparkline(values: Sequence[float] | np.ndarray, width: int) -> str:
    """Numbers as bars of eight heights, from their least to their greatest; the mean of each stretch where there are
    more than `width`, a space where none is finite.
    """
    x = np.asarray(values, float)
    parts = np.array_split(x, min(width, len(x))) if len(x) else []
    x = np.asarray([p[np.isfinite(p)].mean() if np.isfinite(p).any() else np.nan for p in parts])
    if not np.isfinite(x).any():
        return " " * len(x)
    low, high = np.nanmin(x), np.nanmax(x)
    place = (x - low) / (high - low if high > low else 1.0)
    return "".join(" " if math.isnan(p) else _BARS[min(int(p * len(_BARS)), len(_BARS) - 1)] for p in place)
