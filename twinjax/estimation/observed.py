"""A trial's measurements as arrays, and which prediction belongs to which."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from twinjax.models.base import output_names
from twinjax.naming import resolve
from twinjax.observation import QUANTIFIED, Errors
from twinjax.population.population import Population
from twinjax.population.subject import Subject, TrialData


class Observations(eqx.Module):
    """A trial's measurements as arrays `(subjects, rows)`; a row that is no measurement is not `there`.

    Rows are a subject's measurements in record order, padding, then rows that only hold predictions which likelihoods
    read besides. `output` indexes the model's outputs. `censoring` says whether any value is censored: without, its
    part of the likelihood is not even compiled.

    **Parameters** that only some trials need: `time`, and `group`, the same for measurements of different outputs
    whose residuals may be correlated; `row`, the sample that each row's prediction is of; `reads` `(subjects, rows,
    most)`, the rows that a likelihood reads, -1 for zero.
    """

    value: Any
    output: Any
    censored: Any
    limit: Any
    there: Any
    censoring: bool = eqx.field(static=True)
    time: Any = None
    group: Any = None
    row: Any = None
    reads: Any = None


def observations(population: Population, trial: TrialData) -> Observations:
    """A trial's measurements, padded.

    **Raises** `ValueError` for an output that the model has not, or one observed without a residual error or
    likelihood; for a value that these cannot have.
    """
    outputs = output_names(population.model)
    errors = population.errors(population.theta)
    samples = max((len(s.measurements) for s in trial), default=0)
    if samples == 0:
        raise ValueError(f"{trial.name} has no measurements to fit")

    def number(output: str | int, who: str) -> int:
        if isinstance(output, int):
            if not 1 <= output <= len(outputs):
                raise ValueError(
                    f"subject {who}: output {output} of a model with {len(outputs)} ({', '.join(outputs)})"
                )
            return output - 1
        return outputs.index(resolve(output, outputs, f"output (subject {who})"))

    indices = [np.asarray([number(o, s.id) for o in s.measurements.output], dtype=int) for s in trial]
    for s, index in zip(trial, indices, strict=True):
        _check(errors, outputs, s, index)
    more = [_companions(errors, outputs, index, samples) for index in indices]
    extra = max((len(m.output) for m in more), default=0)
    columns: dict[str, list[np.ndarray]] = {}
    for s, index, own in zip(trial, indices, more, strict=True):
        m, left = s.measurements, samples + extra - len(index)
        row = {"value": m.value, "censored": m.censored, "limit": m.limit, "there": np.ones(len(m), bool)}
        if errors.correlated:
            row |= {"time": m.time, "group": _groups(m.time, index)}
        for name, values in row.items():
            columns.setdefault(name, []).append(np.pad(np.asarray(values), (0, left)))
        read = np.pad(own.output, (samples - len(index), extra - len(own.output)))
        columns.setdefault("output", []).append(np.concatenate([index, read]))
        if extra:
            shown = np.concatenate([np.arange(samples), np.pad(own.row, (0, extra - len(own.row)))])
            columns.setdefault("row", []).append(shown)
            columns.setdefault("reads", []).append(np.pad(own.reads, ((0, left), (0, 0)), constant_values=-1))
    arrays = {n: np.stack(c) for n, c in columns.items()}
    return Observations(
        **{n: jnp.asarray(a) for n, a in arrays.items()}, censoring=bool(np.any(arrays["censored"] != QUANTIFIED))
    )


def select(outputs: Any, o: Observations) -> Any:
    """Of one subject's outputs, `(samples,)` each, what each row is a prediction of, `(rows,)`."""
    chosen = jnp.zeros(o.output.shape)
    for i, own in enumerate(jax.tree.leaves(outputs)):
        chosen = jnp.where(o.output == i, own if o.row is None else own[o.row], chosen)
    return chosen


class _Companions(eqx.Module):
    """Rows that only hold predictions: the output and the sample of each; and which rows each measurement reads."""

    output: np.ndarray
    row: np.ndarray
    reads: np.ndarray


def _companions(errors: Errors, outputs: tuple[str, ...], index: np.ndarray, samples: int) -> _Companions:
    """Of one subject whose measurements are of the outputs `index`; they begin at row `samples`."""
    most = max((len(e.reads) for e in errors.likelihoods.values()), default=0)
    where: dict[tuple[int, int], int] = {}
    reads = np.full((len(index), most), -1)
    last: dict[int, int] = {}
    for record, i in enumerate(index.tolist()):
        likelihood = errors.likelihoods.get(outputs[i])
        for k, read in enumerate(likelihood.reads if likelihood is not None else ()):
            at = last.get(i, -1) if read.before else record
            if at >= 0:
                other = outputs.index(resolve(read.output, outputs, f"output that {outputs[i]} reads"))
                reads[record, k] = samples + where.setdefault((other, at), len(where))
        last[i] = record
    keys = np.asarray(list(where), int).reshape(-1, 2)
    return _Companions(keys[:, 0], keys[:, 1], reads)


def _groups(time: np.ndarray, index: np.ndarray) -> np.ndarray:
    """A number for every time, and one more for each repetition of an output at a time: replicates go pair by pair."""
    seen: dict[tuple[float, int], int] = {}
    known: dict[tuple[float, int], int] = {}
    found = np.zeros(len(index), int)
    for k, (t, i) in enumerate(zip(time.tolist(), index.tolist(), strict=True)):
        seen[t, i] = seen.get((t, i), -1) + 1
        found[k] = known.setdefault((t, seen[t, i]), len(known))
    return found


def _check(errors: Errors, outputs: tuple[str, ...], s: Subject, index: np.ndarray) -> None:
    """**Raises** `ValueError` for values of one subject that their errors cannot have."""
    for i in set(index.tolist()):
        name, own = outputs[i], s.measurements.value[index == i]
        censored = s.measurements.censored[index == i]
        if name not in errors:
            raise ValueError(f"{name} is measured (subject {s.id}) but has no residual error: name it in residual")
        if name in errors.likelihoods:
            _check_likelihood(errors, name, s, index == i)
            continue
        error = errors.residuals[name]
        edge, beyond = (np.asarray(error.transform(jnp.asarray(v))) for v in (0.0, -1.0))
        if np.any(own <= 0) and (not np.isfinite(edge) or edge == beyond):
            raise ValueError(
                f"subject {s.id}: a measurement of {name} is not positive, which {type(error).__name__} needs"
            )
        if name in errors.above_zero and np.any(own[censored == QUANTIFIED] < 0):
            raise ValueError(f"subject {s.id}: a measurement of {name} is negative, which method M4 rules out")
        if name in errors.correlated and np.any(censored != QUANTIFIED):
            raise ValueError(f"subject {s.id}: a measurement of {name} is censored, and its residuals are correlated "
                             "with others': there is no likelihood for both; leave one of them out")  # fmt: skip
        time = s.measurements.time[index == i]
        if name in errors.autocorrelation and len(np.unique(time)) < len(time):
            raise ValueError(f"subject {s.id}: {name} is measured twice at one time, and its residuals are correlated "
                             "in time: two that are the same cannot differ")  # fmt: skip


def _check_likelihood(errors: Errors, name: str, s: Subject, mine: np.ndarray) -> None:
    likelihood, own, censored = errors.likelihoods[name], s.measurements.value[mine], s.measurements.censored[mine]
    kind = type(likelihood).__name__
    if np.any(censored != QUANTIFIED):
        raise ValueError(f"subject {s.id}: a value of {name} is censored, which {kind} knows nothing of; for events "
                         "use the values 0 and 2 of TimeToEvent")  # fmt: skip
    time = s.measurements.time[mine]
    begin = min([*np.ravel(s.regimen.time), *s.measurements.time])
    if any(r.before for r in likelihood.reads) and own[0] > 0 and time[0] <= begin:
        raise ValueError(f"subject {s.id}: the first record is already an event of {name}, so nothing is known of the "
                         "time before; begin with a record of 0 where the observation starts")  # fmt: skip
    bad = own[np.isfinite(own) & ~likelihood.valid(own)]
    if len(bad):
        raise ValueError(f"subject {s.id}: a value of {name} is {bad[0]:g}, which {kind} has no probability for")
