"""How long does a patient's page take to answer? A JSON line each: start, other doses, candidates; without the browser.

The start is what is compiled before the page is shown; the rest is what an edit or another question then costs.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np

import twinjax as tj
from twinjax.cli.cache import keep_compiled
from twinjax.models import OneCompartmentOral
from twinjax.page import Desk
from twinjax.stream import Ward


def said(**what: Any) -> None:
    """One line, with where it ran."""
    print(json.dumps({
        "benchmark": "page", **what, "device": jax.devices()[0].device_kind, "jax": jax.__version__,
        "load": round(os.getloadavg()[0], 1),
    }), flush=True)  # fmt: skip


def opened() -> Desk:
    """A patient with eight doses, five of them to come, and two measurements."""
    population = tj.Population(
        OneCompartmentOral(ka=1.1, cl=3.0, v=40.0), variability={"ka": 0.4, "cl": 0.4, "v": 0.25},
        residual=tj.Combined(0.05, 0.15),
    )  # fmt: skip
    ward = Ward(Path(":memory:"), population)
    ward.admit("P")
    doses = [{"amount": 200, "into": "depot", "time": 0.0, "every": 12, "count": 8}]
    for id, what in (
        ("a", {"doses": doses, "measurements": [{"value": 4.1, "time": 3.0}]}),
        ("b", {"measurements": [{"value": 6.9, "time": 26.0}]}),
    ):
        (outcome,) = ward.receive(json.dumps({"id": id, "patient": "P", **what}))
        assert outcome.status == "applied", outcome
    return Desk(ward, "P")


def main() -> None:
    keep_compiled()
    desk = opened()
    began, cpu = time.perf_counter(), time.process_time()
    for _ in desk.warm():
        pass
    said(what="start", seconds=round(time.perf_counter() - began, 1), cpu=round(time.process_time() - cpu, 1))
    target = {"output": "plasma", "upper": 7.0, "until": 90.0, "tablets": [50, 100], "peak": 12.0}
    questions: dict[str, Callable[[int], Any]] = {
        "other doses": lambda k: desk.what_if(
            {"doses": [{"amount": 100 + k, "time": 30 + k, "every": 12, "count": 3}]}
        ),
        "candidates": lambda k: desk.recommend({**target, "lower": 4.0 + 0.1 * k, "start": 27.0 + k}),
    }
    for what, ask in questions.items():
        ask(0)
        each = []
        for k in range(1, 8):
            began, cpu = time.perf_counter(), time.process_time()
            ask(k)
            each.append((time.perf_counter() - began, time.process_time() - cpu))
        wall, cpu = np.median(np.asarray(each), axis=0)
        said(what=what, ms=round(1e3 * wall), cpu_ms=round(1e3 * cpu), times=len(each))


if __name__ == "__main__":
    main()
