"""A `Study`: the nouns that a study file describes, ready for the verbs."""

from __future__ import annotations

import copy
import dataclasses
import difflib
import os
import tomllib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from twinjax.io.against import check_against
from twinjax.io.nonmem import read_nonmem
from twinjax.io.problems import DataError
from twinjax.io.study.levels import read_mixture, read_occasions, read_quantification
from twinjax.io.study.model import (
    Pair,
    model_class,
    read_correlations,
    read_effects,
    read_model,
    read_residuals,
    read_variability,
)
from twinjax.io.study.plans import CohortPlan, DataPlan, FitPlan, read_cohort, read_data, read_fit
from twinjax.io.study.tables import StudyError, Table
from twinjax.io.study.toml import to_toml
from twinjax.models.base import AbstractModel, output_names
from twinjax.naming import leaves, names, resolve, suggestion
from twinjax.observation import AbstractLikelihood, AbstractQuantification, AbstractResidual
from twinjax.population.effects import AbstractEffect
from twinjax.population.mixture import Mixture
from twinjax.population.occasions import Occasions
from twinjax.population.population import Population
from twinjax.population.subject import TrialData
from twinjax.population.variability import AbstractScale

_PARTS = ("variability", "correlations", "covariates", "occasions", "mixture", "quantification", "residual")


@dataclasses.dataclass(frozen=True)
class Study:
    """Data, a model with what varies about it, and what to do with them.

    **Parameters**: `name`, the file's; `folder`, from which its file names count; `tables`, as written (overrides in
    place); `model`, at the starting values; `variability`, `correlations`, `covariates`, `occasions`, `mixture`,
    `quantification`, `residual`, as `Population` takes them; `data`, None for a study that only simulates; `fit`;
    `cohort`; `files`, the study and the user's models and likelihoods.
    """

    name: str
    folder: Path
    tables: Mapping[str, Any]
    model: AbstractModel
    variability: Mapping[str, AbstractScale]
    correlations: Mapping[Pair, float]
    covariates: Mapping[str, tuple[AbstractEffect, ...]]
    occasions: Occasions | None
    mixture: Mixture | None
    quantification: Mapping[str, AbstractQuantification]
    residual: Mapping[str, AbstractResidual | AbstractLikelihood]
    data: DataPlan | None
    fit: FitPlan
    cohort: CohortPlan
    files: tuple[Path, ...] = ()

    @staticmethod
    def of(
        tables: Mapping[str, Any], *, name: str = "study", folder: str | Path = ".", file: Path | None = None
    ) -> Study:
        """A study from tables as TOML gives them.

        **Raises** `StudyError` with every problem found, each with its table, its key and what to write instead.
        """
        folder, problems = Path(folder), list[str]()
        source = name if file is None else file.name
        top = Table(tables, "", problems)
        for key in ("model", "data", "fit", "cohort"):
            top.asked.append(key)
        for key, value in top.values.items():
            if key not in top.asked:
                what = "table" if isinstance(value, dict) else "key"
                problems.append(f"there is no {what} {key!r}{suggestion(key, top.asked)}")
        table = Table(top.values.get("model", {}), "model", problems)
        if "model" not in top:
            problems.append('there is no [model]; write [model], then name = "OneCompartmentOral"')
            raise StudyError(problems, source)
        model, files = read_model(table, folder)
        parts = {k: table.table(k) for k in _PARTS}
        table.done()
        data = read_data(Table(top.values["data"], "data", problems)) if "data" in top else None
        fit = read_fit(Table(top.values.get("fit", {}), "fit", problems))
        if model is None:
            raise StudyError(problems, source)
        known = names(model)
        more = list(files)
        residual = read_residuals(parts["residual"], model, folder, more)
        errors = [f"{o}.{n}" for o, r in residual.items() if isinstance(r, AbstractResidual) for n in names(r)]
        variability = read_variability(parts["variability"], (*known, *errors))
        study = Study(
            name=name, folder=folder, tables=copy.deepcopy(dict(tables)), model=model, variability=variability,
            correlations=read_correlations(parts["correlations"], variability),
            covariates=read_effects(parts["covariates"], known),
            occasions=read_occasions(parts["occasions"], known), mixture=read_mixture(parts["mixture"]),
            quantification=read_quantification(parts["quantification"], output_names(model)),
            residual=residual, data=data, fit=fit,
            cohort=read_cohort(Table(top.values.get("cohort", {}), "cohort", problems), model),
            files=(*(() if file is None else (file,)), *more),
        )  # fmt: skip
        if not problems:
            problems += study._misnamed()
        if problems:
            raise StudyError(problems, source)
        return study

    @staticmethod
    def of_model(said: str, start: Mapping[str, float] | None = None) -> Study:
        """A model of the library, or ``file.py:Class``, at its typical values, with those of `start` in their place.

        **Raises** `ValueError` for a model or a parameter that is not there, with the nearest names.
        """
        problems: list[str] = []
        cls = model_class(Table({"name": said}, "model", problems), "name", Path.cwd(), [])
        if cls is None:
            raise ValueError("\n".join(p.removeprefix("[model] name: ") for p in problems))
        values = {n: float(v) for n, v in leaves(cls.typical()).items()}
        for name, value in (start or {}).items():
            values[resolve(name, values)] = value
        return Study.of({"model": {"name": said, "start": values}}, name=cls.__name__, folder=Path.cwd())

    def _misnamed(self) -> list[str]:
        """What only the whole shows: names in [fit], starting values that cannot be."""
        try:
            population = self._population((), ())
        except ValueError as error:
            return [f"[model] {error}"]
        found = []
        said = {"fixed": self.fit.fixed, "estimate": self.fit.estimate, "priors": tuple(self.fit.priors)}
        for key, each in said.items():
            for name in each:
                try:
                    resolve(name, population.theta)
                except ValueError as error:
                    found.append(f"[fit] {key}: {error}")
        if not found:
            try:
                self.population()
            except ValueError as error:
                found.append(f"[model] {error}")
        return found

    def population(self) -> Population:
        """The population at the study's starting values."""
        return self._population(self.fit.fixed, self.fit.estimate)

    def _population(self, fixed: tuple[str, ...], estimate: tuple[str, ...]) -> Population:
        return Population(
            self.model, variability=self.variability, correlations=self.correlations, covariates=self.covariates,
            occasions=self.occasions, mixture=self.mixture, quantification=self.quantification, residual=self.residual,
            fixed=fixed, estimate=estimate,
        )  # fmt: skip

    def source(self) -> Path:
        """The data file: one beside the study, or that of a data set which ships with twinjax.

        **Raises** `StudyError` where there is none.
        """
        if self.data is None:
            raise StudyError(['there is no [data]; write [data], then file = "data.csv"'], self._label)
        try:
            return data_file(self.data.file, self.folder)
        except FileNotFoundError as error:
            raise StudyError([f"[data] file: {error}"], self._label) from None

    def trial(self) -> TrialData:
        """The subjects, checked against the model.

        **Raises** `StudyError` for a file or a unit that is not there; `DataError` for what is wrong in the data.
        """
        file = self.source()
        assert self.data is not None, "source() would have raised"
        try:
            trial = read_nonmem(file, **{"name": file.stem, **self.data.how})
        except DataError:
            raise
        except ValueError as error:
            raise StudyError([f"[data] {error}"], self._label) from None
        unseen = () if self.mixture is None else (self.mixture.covariate,)
        needed = [n for n in self.population().covariate_names if n not in unseen]
        wrong = check_against(trial, self.model, covariates=needed)
        if wrong:
            raise DataError(wrong, f"{file.name} and {type(self.model).__name__}")
        return trial

    def overriding(self, **tables: Mapping[str, Any]) -> Study:
        """The same study with other values, ``study.overriding(fit={"method": "FO"})``, checked again."""
        merged = copy.deepcopy(dict(self.tables))
        for name, values in tables.items():
            merged[name] = {**merged.get(name, {}), **values}
        own = Study.of(merged, name=self.name, folder=self.folder)
        return dataclasses.replace(own, files=self.files)

    def to_toml(self) -> str:
        """TOML that can be run from anywhere: the tables, with file names written out in full."""
        tables = copy.deepcopy(dict(self.tables))
        if self.data is not None and (own := self.folder / Path(self.data.file).expanduser()).is_file():
            tables["data"]["file"] = str(own.resolve())
        for table in (tables["model"], *tables["model"].get("residual", {}).values()):
            for key, value in table.items():
                if isinstance(value, str) and ":" in value:
                    name, _, cls = value.rpartition(":")
                    table[key] = f"{(self.folder / name).resolve()}:{cls}"
        return to_toml(tables)

    def starting(self, values: Mapping[str, float]) -> Study:
        """The same study with other starting values, by name.

        **Raises** `ValueError` for a parameter that is not there, with the nearest names.
        """
        model = {**self.tables["model"]}
        start = {resolve(n, leaves(self.model)): v for n, v in model.get("start", {}).items()}
        start |= {resolve(n, leaves(self.model)): v for n, v in values.items()}
        return self.overriding(model={**model, "start": start})

    @property
    def _label(self) -> str:
        return self.files[0].name if self.files and self.files[0].suffix == ".toml" else self.name


def read_study(study: str | os.PathLike[str]) -> Study:
    """A study file, or by name one that ships with twinjax (`shipped`).

    **Raises** `StudyError` for TOML that cannot be read and for everything wrong in it; `FileNotFoundError`.
    """
    path = Path(study)
    if not path.is_file():
        own = _datasets() / f"{study}.toml"
        if not own.is_file():
            raise FileNotFoundError(_no_file("study", str(study), Path.cwd(), "*.toml", shipped()))
        path = own
    text = path.read_text(encoding="utf-8-sig")
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise StudyError([f"is not TOML: {error}. Text needs quotes, a table begins with [name]"], path.name) from None
    return Study.of(tables, name=path.stem, folder=path.resolve().parent, file=path.resolve())


def shipped() -> tuple[str, ...]:
    """Names of the studies that ship with twinjax."""
    return tuple(sorted(f.stem for f in _datasets().glob("*.toml")))


def data_file(said: str, folder: Path = Path()) -> Path:
    """The path of a data file, or of a data set that ships with twinjax.

    **Raises** `FileNotFoundError` where there is none, with the nearest names.
    """
    own = folder / Path(said).expanduser()
    if own.is_file():
        return own.resolve()
    ships = {f.stem: f for f in _datasets().glob("*.csv")}
    if said in ships:
        return ships[said]
    raise FileNotFoundError(_no_file("data", said, own.parent, "*.csv", tuple(ships)))


def _no_file(what: str, said: str, folder: Path, pattern: str, ships: tuple[str, ...]) -> str:
    beside = [f.name for f in folder.glob(pattern)] if folder.is_dir() else []
    near = difflib.get_close_matches(Path(said).name, [*beside, *ships], n=3, cutoff=0.5)
    hint = f"; did you mean {' or '.join(repr(n) for n in near)}?" if near else "."
    return f"there is no {what} file {said!r}{hint} These ship with twinjax: {', '.join(ships) or 'none'}"


def _datasets() -> Path:
    return Path(str(resources.files("twinjax.datasets")))
