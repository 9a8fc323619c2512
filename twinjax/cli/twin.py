"""`twinjax twin`: patients' twins in a file, fed by messages; what they foresee, and which dose they would give."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from twinjax.cli.terminal import Debug, Json, friendly, numbers, print_json, say, show_table, stderr

if TYPE_CHECKING:
    from twinjax.stream import Outcome, Ward

twin = typer.Typer(
    no_args_is_help=True, rich_markup_mode="markdown", help="Twins of patients, kept in step by messages."
)

Store = Annotated[Path, typer.Argument(help="The SQLite file of the twins.")]
Patient = Annotated[str, typer.Argument(help="Which patient.")]


@twin.command(no_args_is_help=True)
@friendly
def init(
    store: Store,
    patient: Patient,
    source: Annotated[str | None, typer.Option(help="A study or the folder of a fit: the prior of all twins.")] = None,
    covariate: Annotated[list[str] | None, typer.Option(help="Covariate=value; repeatable.")] = None,
    epoch: Annotated[str | None, typer.Option(help="The patient's time 0, such as 2026-01-02T08:00:00Z.")] = None,
    output: Annotated[list[str] | None, typer.Option(help="LOINC=output of the model; repeatable.")] = None,
    observed: Annotated[list[str] | None, typer.Option(help="LOINC=covariate:unit; repeatable.")] = None,
    drug: Annotated[list[str] | None, typer.Option(help="Medication code=state; repeatable.")] = None,
    method: Annotated[str, typer.Option(help="MAP, LaplaceImportance or ParticleFilter.")] = "MAP",
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Begin a patient's twin; the first of a file says what all are drawn from.

    Example: `twinjax twin init ward.sqlite P1 --source theophylline --covariate WT=70 --epoch 2026-01-02T08:00:00Z
    --output 4049-3=plasma --drug 10438=depot`
    """
    from twinjax.io.fhir import Codes
    from twinjax.io.messages import instant

    codes = None
    if output or observed or drug:
        pairs = {n: v.partition(":") for n, v in _pairs(observed, "--observed").items()}
        covariates = {n: (c, unit or "1") for n, (c, _, unit) in pairs.items()}
        codes = Codes(_pairs(output, "--output"), covariates, _pairs(drug, "--drug"))
    ward = _ward(store, source=source, codes=codes, method=method)
    when = None if epoch is None else instant(epoch, "--epoch")
    made = ward.admit(patient, covariates=numbers(covariate or (), "--covariate"), epoch=when)
    if json:
        print_json({"patient": patient, "hash": made.hash, "patients": list(ward.ledger.patients)})
    else:
        say(f"{patient} has a twin in {store}")
    ward.close()


@twin.command(no_args_is_help=True)
@friendly
def update(
    store: Store,
    messages: Annotated[
        list[str], typer.Argument(help="Files of messages (JSON, a line each; or a FHIR bundle); - for standard input.")
    ],
    watch: Annotated[float | None, typer.Option(help="MESSAGES is a folder: look every so many seconds.")] = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Learn messages, each in one transaction and once. Exit status 1 if any was refused.

    Example: `twinjax twin update ward.sqlite labs.jsonl bundle.json`
    """
    from twinjax.cli.cache import keep_compiled

    keep_compiled()
    ward, refused = _ward(store), 0
    texts = _watched(messages, watch) if watch is not None else (t for m in messages for t in _texts(m))
    for text in texts:
        for outcome in ward.receive(text):
            refused += outcome.status == "refused"
            _told(outcome, json)
    ward.close()
    if refused:
        raise typer.Exit(1)


@twin.command(no_args_is_help=True)
@friendly
def forecast(
    store: Store,
    patient: Patient,
    horizon: Annotated[float, typer.Option(help="How far ahead, in the model's time unit.")] = 48.0,
    points: Annotated[int, typer.Option(help="How many times.")] = 13,
    level: Annotated[float, typer.Option(help="Of the credible band.")] = 0.9,
    fhir: Annotated[bool, typer.Option("--fhir", help="A bundle of FHIR Observations on stdout.")] = False,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """What a patient's twin foresees, with its credible band.

    Example: `twinjax twin forecast ward.sqlite P1 --horizon 24`
    """
    import numpy as np

    from twinjax.assimilation.forecast import forecast as foresee
    from twinjax.cli.cache import keep_compiled
    from twinjax.io.fhir import forecast_bundle
    from twinjax.io.messages import output_units

    keep_compiled()
    ward = _ward(store)
    own = _known(ward, patient)
    found = foresee(own, own.now + np.linspace(0.0, horizon, points), level=level)
    if fhir:
        epoch = ward.epoch(patient)
        if epoch is None:
            raise ValueError(f"{patient} has no epoch, so a forecast has no dates; begin the twin with --epoch")
        print_json(forecast_bundle(
            found.table, ward.codes, output_units(own.population.model), patient=patient, epoch=epoch, made=own.hash,
        ))  # fmt: skip
    elif json:
        print_json({"patient": patient, "now": own.now, "hash": own.hash, "rows": found.table.to_dict("records")})
    else:
        shown = ("output", "time", "median", "lower", "upper")
        show_table(found.table[list(shown)].itertuples(index=False), shown, title=f"{patient}, {level:.0%} bands")
        show_table(
            own.parameters.reset_index().itertuples(index=False), ("parameter", *own.parameters.columns),
            title="Parameters: typical for the covariates, and the patient's",
        )  # fmt: skip
    ward.close()


@twin.command(no_args_is_help=True)
@friendly
def recommend(
    store: Store,
    patient: Patient,
    output: Annotated[str, typer.Option(help="Output that is to reach the target.")],
    lower: Annotated[float, typer.Option(help="Lower end of the target.")],
    upper: Annotated[float, typer.Option(help="Upper end of the target.")],
    until: Annotated[float, typer.Option(help="Time by which the last dose is given.")],
    start: Annotated[
        float | None,
        typer.Option(
            help="Time of the earliest first dose; default now, or, without an epoch, the latest measurement."
        ),
    ] = None,
    quantity: Annotated[
        str, typer.Option(help="What of the output: lowest, average or highest of the last interval of each schedule.")
    ] = ("average"),
    every: Annotated[str, typer.Option(help="Intervals to choose from, with commas.")] = "12,24",
    tablets: Annotated[str | None, typer.Option(help="Strengths, with commas; any amount if left out.")] = None,
    most: Annotated[int, typer.Option(help="Most tablets in a dose.")] = 4,
    into: Annotated[str | None, typer.Option(help="State that is dosed; default the first that takes doses.")] = None,
    hours: Annotated[tuple[float, float], typer.Option(help="First and last hour of the day for doses.")] = (0.0, 24.0),
    peak: Annotated[float | None, typer.Option(help="Harm: the output above this at any time.")] = None,
    risk: Annotated[float, typer.Option(help="Probability of harm that is accepted.")] = 0.1,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Which dose this patient's twin would give: candidates, the best first, with their probabilities.

    Example: `twinjax twin recommend ward.sqlite P1 --output plasma --lower 8 --upper 12 --until 96 --tablets 100,200`
    """
    from twinjax.cli.cache import keep_compiled
    from twinjax.io.messages import output_units
    from twinjax.page.asked import answered, begin, question, takers

    keep_compiled()
    ward = _ward(store)
    own = _known(ward, patient)
    asked = {
        "output": output, "quantity": quantity, "lower": lower, "upper": upper, "start": start, "until": until,
        "every": _list(every, "--every"), "tablets": _list(tablets, "--tablets") if tablets else None, "most": most,
        "into": into, "hours": list(hours), "peak": peak, "risk": risk,
    }  # fmt: skip
    model, begun = own.population.model, ward.epoch(patient)
    q = question(asked, own, list(output_units(model)), list(takers(model)), begun, begin(own, begun))
    found = answered(own, q)
    rows = found.table
    if json:
        print_json({"patient": patient, "hash": own.hash, "acceptable": found.acceptable,
                    "candidates": rows.to_dict("records")})  # fmt: skip
    else:
        show_table(rows.itertuples(index=False), rows.columns, title=f"Doses for {patient}, the best first")
        if not found.acceptable:
            say(f"No candidate keeps the risk of harm below {risk:.0%}.")
    ward.close()


@twin.command(no_args_is_help=True)
@friendly
def serve(
    store: Store,
    patient: Patient,
    host: Annotated[
        str, typer.Option(help="Address to listen on; beyond this computer a token is needed.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; 0 for one that is free.", min=0, max=65535)] = 8765,
    token: Annotated[
        str | None,
        typer.Option(envvar="TWINJAX_TOKEN", help="Secret that the page asks for; best set in the environment."),
    ] = None,
    name: Annotated[
        list[str] | None,
        typer.Option(help="Name by which the page is called besides, as behind a proxy; needs a token; repeatable."),
    ] = None,
    certificate: Annotated[Path | None, typer.Option(help="File (PEM) for HTTPS.", exists=True)] = None,
    key: Annotated[Path | None, typer.Option(help="The certificate's key, where it is a file of its own.")] = None,
    horizon: Annotated[float, typer.Option(help="How far ahead a forecast looks, in the model's time unit.")] = 72.0,
    debug: Debug = False,
) -> None:
    """A patient's page for the browser: measurements, forecast, other doses, candidates, audit trail.

    It opens on this computer only, but for every account of it: where others have one, set TWINJAX_TOKEN to a secret.
    Another `--host` or a `--name` needs that token; give `--certificate` then, as without it whoever is between can
    read along. The page works offline and changes nothing in the ward; `twinjax twin update` may go on meanwhile, and
    the page says when new data have come, and takes doses that come due as given.

    Example: `twinjax twin serve ward.sqlite P1`
    """
    from twinjax.cli.cache import keep_compiled
    from twinjax.page import Desk, Gate
    from twinjax.page import serve as served

    gate = Gate(host, token, tuple(name or ()))
    if token is not None and certificate is None and not gate.local:
        stderr().print("without --certificate the page and its token are sent unencrypted", style="yellow")
    keep_compiled()
    served(
        lambda: Desk.opened(lambda: _ward(store), patient, horizon=horizon), gate, port,
        certificate=certificate, key=key,
        said=lambda line: stderr().print(line, markup=False, highlight=False, soft_wrap=True),
    )  # fmt: skip


# --------------------------------------------------------------------------------------------------------------- shared


def _ward(store: Path, *, source: str | None = None, codes: Any = None, method: str | None = None) -> Ward:
    """The file, opened with the population that it was begun with."""
    from twinjax.assimilation.methods.importance import LaplaceImportance
    from twinjax.assimilation.methods.mode import MAP
    from twinjax.assimilation.methods.particles import ParticleFilter
    from twinjax.cli.design import source as sought
    from twinjax.stream import Ledger, Ward

    methods = {c.__name__: c for c in (MAP, LaplaceImportance, ParticleFilter)}
    if source is None and not store.is_file():
        raise ValueError(f"there is no file {store}; begin it with `twinjax twin init {store} PATIENT --source STUDY`")
    with contextlib.closing(Ledger(store)) as ledger:
        begun = ledger.fact("source")
        if begun is None:
            if source is None:
                raise ValueError(f"{store} says nothing of a prior; give --source, a study or the folder of a fit")
            if method not in methods:
                raise ValueError(f"--method {method!r} is none of {', '.join(methods)}")
            begun = {"source": _absolute(source), "method": method}
            ledger.state_fact("source", begun)
        elif source is not None and _absolute(source) != begun["source"]:
            raise ValueError(
                f"{store} was begun with --source {begun['source']}; leave --source out, or begin another file"
            )
    population = sought(begun["source"]).population
    return Ward(store, population, codes=codes, method=methods[begun["method"]]())


def _absolute(source: str) -> str:
    return str(Path(source).resolve()) if Path(source).exists() else source


def _known(ward: Ward, patient: str) -> Any:
    try:
        return ward.twin(patient)
    except KeyError as error:
        raise ValueError(error.args[0]) from None


def _texts(said: str) -> Iterator[str]:
    """Messages of a file or of standard input: one if the whole is JSON, else a line each."""
    import json

    if said == "-":
        yield from (line for line in sys.stdin if line.strip())
        return
    text = Path(said).read_text()
    try:
        json.loads(text)
    except json.JSONDecodeError:
        yield from (line for line in text.splitlines() if line.strip())
    else:
        yield text


def _watched(folders: list[str], seconds: float) -> Iterator[str]:
    """Messages of the files of a folder, those that are there and those to come, until it is interrupted."""
    seen: dict[Path, int] = {}
    while True:
        for file in sorted(f for folder in folders for f in Path(folder).iterdir() if f.suffix in (".json", ".jsonl")):
            changed = file.stat().st_mtime_ns
            if seen.get(file) != changed:
                seen[file] = changed
                yield from _texts(str(file))
        time.sleep(seconds)


def _told(outcome: Outcome, as_json: bool) -> None:
    if as_json:
        import dataclasses
        import json

        typer.echo(json.dumps(dataclasses.asdict(outcome)))
        return
    who = f" of {outcome.patient}" if outcome.patient else ""
    typer.echo(f"{outcome.status}: {outcome.id or 'a message'}{who}" + (f": {outcome.why}" if outcome.why else ""))


def _pairs(said: list[str] | None, option: str) -> dict[str, str]:
    found = {}
    for one in said or ():
        name, equals, value = one.partition("=")
        if not equals or not name or not value:
            raise ValueError(f"{option} {one!r}: write CODE=NAME")
        found[name] = value
    return found


def _list(said: str, option: str) -> list[float]:
    try:
        return [float(x) for x in said.split(",")]
    except ValueError:
        raise ValueError(f"{option} {said!r}: write numbers with commas between") from None
