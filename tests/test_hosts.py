"""A fit whose subjects are shared out among processes is the fit of one."""

import json
import os
import socket
import subprocess
import sys
import textwrap

import numpy as np
import pytest

import twinjax as tj
from twinjax.datasets import theophylline
from twinjax.models import OneCompartmentOral

SCRIPT = """
    import json, sys

    import jax

    jax.config.update("jax_enable_x64", True)
    jax.distributed.initialize(sys.argv[1], num_processes=2, process_id=int(sys.argv[2]))

    import twinjax as tj
    from twinjax.datasets import theophylline
    from twinjax.models import OneCompartmentOral
    from twinjax.estimation import engine

    sizes, evaluate = [], engine._evaluate

    def watched(method, predictor, design, x, eta):
        sizes.append(len(eta))
        return evaluate(method, predictor, design, x, eta)

    engine._evaluate = watched
    trial = tj.TrialData(theophylline().subjects[:7], "seven")
    population = tj.Population(
        OneCompartmentOral(ka=1.57, cl=2.7, v=31.5), variability={"cl": 0.5, "v": 0.3}, residual=tj.Additive(0.7)
    )
    fit = tj.fit(population, trial, method=tj.FO(), covariance=False)
    print(json.dumps({"objective": fit.objective, "by_subject": list(map(float, fit.by_subject)),
                      "theta": {n: float(x) for n, x in fit.theta.items()}, "sizes": sorted(set(sizes))}))
"""


def test_two_processes_fit_as_one(tmp_path):
    """Seven subjects, four to each, one of them evaluated twice."""
    script = tmp_path / "share.py"
    script.write_text(textwrap.dedent(SCRIPT))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    own = os.environ | {"JAX_PLATFORMS": "cpu"}
    both = [
        subprocess.Popen(
            [sys.executable, script, address, str(i)], env=own, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for i in range(2)
    ]
    try:
        said = [process.communicate(timeout=400) for process in both]
    finally:
        for process in both:
            process.kill()
    assert [p.returncode for p in both] == [0, 0], said
    first, second = (json.loads(out.decode().splitlines()[-1]) for out, _ in said)
    assert first == second
    assert first["sizes"] == [4]
    trial = tj.TrialData(theophylline().subjects[:7], "seven")
    population = tj.Population(
        OneCompartmentOral(ka=1.57, cl=2.7, v=31.5), variability={"cl": 0.5, "v": 0.3}, residual=tj.Additive(0.7)
    )
    alone = tj.fit(population, trial, method=tj.FO(), covariance=False)
    # Vectors of another length round differently, and the search ends where the objective is flat to 1e-9 or so.
    assert first["objective"] == pytest.approx(alone.objective, rel=1e-8)
    np.testing.assert_allclose(first["by_subject"], alone.by_subject, rtol=1e-4)
    assert first["theta"] == pytest.approx({n: float(x) for n, x in alone.theta.items()}, rel=1e-4)
