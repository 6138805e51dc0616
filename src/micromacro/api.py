"""The front door: :func:`fit`, :class:`Model`, :func:`load`, :func:`compare`."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from typing import TYPE_CHECKING, Any, Literal

from ._public import public_all
from .engines.base import Settings
from .engines.kept import as_keep
from .engines.registry import check_engine, engine_of
from .errors import MicromacroWarning, ModelError
from .families.base import Family
from .model.draft import Arguments, Priors, read_draft
from .model.public import Model, stored_model
from .parameters import by_name
from .partitioned.fit import fit_partitions
from .partitioned.sources import is_apart
from .results.fit import Fit

if TYPE_CHECKING:
    import pandas as pd

    from .results.criticism.elpd import Elpd
    from .results.store import SavedResults
    from .results.verbs.aggregations import Aggregations


def fit(
    formula: str,
    data: Any,
    *,
    family: str | Family = "gaussian",
    engine: str = "mcmc",
    priors: Priors = None,
    fixed: Mapping[str, float] | pd.Series | None = None,
    graphs: Mapping[str, Any] | None = None,
    memberships: Any = None,
    members: Any = None,
    missing: str = "error",
    observation_weights: str | None = None,
    collinear: Literal["error", "drop"] = "error",
    sigma: str | None = None,
    phi: str | None = None,
    shape: str | None = None,
    nu: str | None = None,
    zi: str | None = None,
    hu: str | None = None,
    known: Mapping[str, Any] | None = None,
    start: Mapping[str, float] | pd.Series | None = None,
    draws: int = 1000,
    tune: int = 1000,
    chains: int = 4,
    random_seed: int | None = None,
    progress: bool = True,
    executor: Executor | None = None,
    nAGQ: int = 1,
    factor: Literal["effects", "groups"] | None = None,
    keep: Literal["all", "parameters"] | Sequence[str] = "all",
    solver: Literal["direct", "iterative"] | None = None,
) -> Fit:
    r"""Fit a multiple-membership model with (estimated) weights.

    Parameters
    ----------
    formula : str
        ``outcome ~ fixed terms + mm(member, group, covariates, weights=..., ...) + (1 | unit)``; see the page on
        the formula in the documentation.
    data : pandas, polars or pyarrow table, or dict of arrays; a path or a Dask frame
        One row per membership (long), or one row per group where `memberships` is given. For ml and reml also data in
        partitions: a folder of parquet files, or a Dask frame, all rows of a group in one of them.
    family : str or Family
        Distribution of the outcome: gaussian, student, bernoulli, binomial, beta_binomial, poisson, negative_binomial,
        zero_inflated_poisson, zero_inflated_negative_binomial, hurdle_poisson, hurdle_negative_binomial, gamma, beta,
        ordinal, weibull, exponential, lognormal, cox; or an object of :mod:`micromacro.families` with options.
    engine : {"mcmc", "laplace", "ml", "reml", "nuts"}
        Draws from the exact posterior, a fast approximation of it, maximum likelihood, restricted maximum likelihood
        (Gaussian outcomes), or NUTS in NumPyro (extra ``[jax]``), slow and independent of the rest.
    priors : dict, Series or {"flat", "vague"}, optional
        Parameter names or classes (``b``, ``Intercept``, ``w``, ``sd``, ``sigma``) to priors of
        :mod:`micromacro.prior`. Without it mcmc uses weakly informative ones scaled by the data, ml and reml none.
    fixed : dict or Series, optional
        Parameter names to values (natural scale, the intercept at zero covariates) at which they are held instead of
        estimated: ``{"sigma": 1, "neighbour.w.b1": 0.5}``; the same as ``mm.prior.fixed(value)`` in `priors`.
    graphs : dict, optional
        What ``effects=`` names in parentheses: graphs of ``icar(g)`` and ``car(g)`` (networkx, libpysal, a dictionary
        of neighbours, a pair of matrix and ids, or a table of edges).
    memberships : table or dict of tables by block, optional
        Edge table: a row per membership, with the member and the group column.
    members : table or dict of tables by member column, optional
        One row per member.
    missing : {"error", "drop"}
        What to do about missing values outside member ids; ``"drop"`` leaves the groups out and says so.
    observation_weights : str, optional
        Column of the groups by which their log-likelihoods are multiplied: 2 counts a group twice. The number of
        groups, and what depends on it (BIC), stays what it is.
    collinear : {"error", "drop"}
        What to do about coefficients whose columns are linear combinations of those before them; ``"drop"`` leaves them
        out, as R's ``lm`` does, and the model says which.
    sigma, phi, shape, nu, zi, hu : str, optional
        One-sided formulas of further linear predictors, as in ``sigma="~ x + mm(member, group, z, effects = none)"``:
        of parameters of the family, on the log scale (`zi` and `hu` on the logit scale). Their parameters are called
        ``sigma.x``, ``sigma.member.z``, ``sigma.member.w.b``.
    known : dict, optional
        Covariances of levels by the name that ``effects = known(K)`` uses: a square DataFrame labelled by ids, a pair
        (matrix, ids), a dict of dicts, or :func:`micromacro.pedigree`.
    start : dict or Series, optional
        Parameter names to values (natural scale, as in the tables) where the search begins: a maximum near them is
        found, if there is one, and reported if it is the highest. Other parameters begin at their usual values.
    draws, tune, chains : int
        Kept and tuning iterations of each chain, and how many chains.
    random_seed : int, optional
        Fixes the draws bit for bit, whatever the number of workers. Without it they differ from run to run.
    progress : bool
        Show a progress bar.
    executor : concurrent.futures.Executor, optional
        Where chains run (any executor, that of a Dask cluster included), by default in threads; where an engine works
        by iteration (see `solver`), where products with the rows are made, each worker having some of them: tested with
        threads and processes. With data in partitions the client of a Dask cluster, whose workers keep them.
    nAGQ : int
        For ml of outcomes that are not Gaussian, with one term ``(1 | unit)`` and no effects of members: points of the
        adaptive Gauss-Hermite quadrature over each effect, as in glmer. 1 is Laplace's formula.
    factor : {"effects", "groups"}, optional
        For ml and reml: factorise a matrix of the effects or one of the groups. Without it the one that takes fewer
        operations; ``Model.explain()`` says which. The numbers are the same to rounding.
    keep : "all", "parameters" or sequence of str
        For mcmc: the effects whose draws are kept, which is what takes memory where there are many: all, none, or those
        of the named terms. Parameters and coefficients always are. What needs draws that were not kept says so.
    solver : {"direct", "iterative"}, optional
        For ml, reml and laplace: ``"direct"`` factorises a matrix, ``"iterative"`` solves its equations by conjugate
        gradients, which need hardly any memory; log-determinants are then means over random probes, and the Monte Carlo
        errors of the log-likelihood and of the estimates are reported. Draws of laplace are then made from an expansion
        of the posterior of theta around its mode. Without it a matrix is factorised unless that would take
        too many operations; ``Model.explain()`` says which.

    Returns
    -------
    Fit
        A :class:`PartitionedFit`, which answers less, for data in partitions.

    Raises
    ------
    FormulaError, DataError, ModelError, EngineError
        All of them :class:`~micromacro.errors.MicromacroError`.

    Notes
    -----
    The model (Rosche 2026, doi:10.31235/osf.io/4bafr_v2) is

    .. math:: y_i = x_{2i}'b_2 + \sum_{j \in z(i)} w_{ij}(x_{1ij}'b_1 + u_j) + \sum_c v_{c[i]} + e_i,
       \qquad w_{ij} \propto n_i^{-\exp(-x_{wij}'b_w)} .
    """
    asked = Arguments(
        formula, data, family=family, priors=priors, fixed=fixed, graphs=graphs, known=known, memberships=memberships,
        members=members, missing=missing, observation_weights=observation_weights, sigma=sigma, phi=phi, shape=shape,
        nu=nu, zi=zi, hu=hu, collinear=collinear,
    )  # fmt: skip
    begin = by_name(start, "start", "1")
    kept = as_keep(keep)
    settings = Settings(draws, tune, chains, random_seed, progress, executor, begin, nAGQ, factor, kept, solver)
    if is_apart(data):
        return fit_partitions(asked, engine, settings)
    return Model(read_draft(asked))._run(engine, settings, partial=True)


def load(
    path: Any,
    data: Any = None,
    *,
    memberships: Any = None,
    members: Any = None,
    missing: str = "error",
    family: Family | None = None,
) -> Fit | SavedResults:
    """Read a fit that ``fit.save`` wrote.

    Every value in the file is compared with its checksum; the model is made again from its description and tables, and
    the log posterior at some of the stored draws (with ml and reml the log-likelihood) is computed once more.

    Parameters
    ----------
    path : str or Path
        A netCDF file, or a folder in zarr's format that ends in ``.zarr``.
    data, memberships, members : tables, optional
        The tables of the fit, as :func:`fit` took them: for a file that was saved with ``data=False``.
    missing : {"error", "drop"}
        As in the fit, for these tables.
    family : Family, optional
        The family, where it is none of micromacro's own.

    Returns
    -------
    Fit or SavedResults
        A fit like the one that was saved; the tables of results alone for ``contents="summary"``, and for
        ``data=False`` if no data are given.

    Raises
    ------
    FileError
        (An ``OSError`` and a ``MicromacroError``) where the file does not exist, is cut short, was changed, does not
        belong to these data, or describes a model that this version of micromacro computes otherwise.
    """
    from .results.store import open_file

    stored = open_file(path)
    tables = stored.tables
    if tables is None and (data is None or stored.description["contents"] == "summary"):
        results = stored.results(Fit)
        assert results is not None
        return results
    about = stored.description
    given = None
    if data is not None:
        given = {"data": data, "memberships": memberships, "members": members, "missing": missing}
    model = stored_model(stored, family, tables, given)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MicromacroWarning)  # they were given when the model was fitted
        specification = model._specified(engine_of(about["engine"]).priors)
    return Fit(stored.outcome(specification), model)


def compare(fits: Mapping[str, Fit | Elpd], ic: str | None = None) -> pd.DataFrame:
    r"""Compare fits of the same data.

    Parameters
    ----------
    fits : dict
        Names to fits, or to results of ``fit.loo()``, ``fit.waic()``, ``fit.kfold()``.
    ic : {"loo", "integrated", "waic", "aic", "bic", "evidence"}, optional
        By what: leave-one-out given the effects or with them integrated out, WAIC, or log marginal likelihood (fits
        with draws); AIC or BIC (ml). By default ``"loo"`` for draws and ``"aic"`` for ml.

    Returns
    -------
    DataFrame
        Indexed by model, the best one first. With draws: ``elpd``, ``se``, ``difference`` from the best and
        ``se_difference``, effective parameters ``p``, stacking ``weight``, ``bad_k`` (groups with a Pareto k that is
        too large). For ml: ``loglik``, ``parameters``, ``aic``, ``bic``, ``difference``, Akaike ``weight``, and the
        likelihood-ratio test against the largest model (``.attrs["tested_against"]``) where it is nested. For the
        evidence: ``log_evidence``, ``se``, ``difference`` (log Bayes factor), ``probability`` at equal prior odds.

    Raises
    ------
    ModelError
        For different data, or different scales of the outcome (log(y) against y).
    EngineError
        For AIC and BIC of likelihoods of different kinds: ml beside reml, reml with different coefficients, penalised
        fits beside others.
    """
    from .results.verbs.compare import compare as compare_fits

    return compare_fits(fits, ic)


def aggregations(
    model: Model,
    links: Sequence[str] = ("mean", "sum", "max", "min"),
    *,
    block: str | None = None,
    engine: str = "ml",
    draws: int = 2000,
    random_seed: int = 0,
) -> Aggregations:
    """Fit rival ways in which members may combine, and say which one the data prefer and by how much.

    Everything but one member block stays as the model has it.

    Parameters
    ----------
    model : Model
    links : sequence of str
        ``"mean"`` (weights 1/n), ``"sum"`` (weights 1, not normalised), ``"max"`` and ``"min"`` (the covariates'
        largest and least values in the group; effects keep the block's weights), ``"largest(x)"`` (all weight on the
        member with the largest x, ties shared), ``"power(x + z)"`` (weights 1 / n ** exp(-(...)), estimated),
        ``"smax"`` (a smooth maximum with estimated kappa, from the least over the mean to the largest). Options as in
        ``mm()``: ``"combine = min"`` (of the members' whole effects), ``"aggregate = var"`` (a feature of each
        covariate; effects keep the block's weights), ``"weights = exp(b * x), normalize = none"``. Anything else is an
        expression of weights: ``"softmax(x)"``, ``"exp(b * x)"``, a column; it is normalised as the block is (in the
        group, if the block's weights are not).
    block : str, optional
        Which member block, where the model has several.
    engine : {"ml", "laplace", "mcmc"}
        With ``ml``, by far the fastest, groups are left out at the maximum, and each link pays one for each of its
        weight parameters and sds, as in AIC. The others average over the posterior, with the model's priors.
    draws : int
        Of each fit that has draws.
    random_seed : int
        The same for all, so that what does not differ does not differ by chance.

    Returns
    -------
    Aggregations
        ``.table``, ``.plot()``, ``.preferred``, ``.verdict``, ``.fits``, ``.formulas``; its length is the number of
        links.

    Raises
    ------
    ModelError, EngineError
        For what is not a Model, for fewer than two links, and for links that the block does not allow.
    """
    from .results.verbs import aggregations as rival

    if not isinstance(model, Model):
        raise ModelError("aggregations() takes a Model: mm.aggregations(mm.Model(formula, data), [...])")
    formula = model._draft.reading.formula
    call = rival.member_block(formula, block)
    name = call.name or call.member_name
    if isinstance(links, str):
        raise ModelError(f"links= takes a list of several, as in [{links!r}, 'max']")
    engine = check_engine(engine)
    if engine_of(engine).restricted:
        raise ModelError(
            f"aggregations() compares coefficients and weights, which {engine} does not: use ml, laplace or mcmc"
        )
    columns = model._draft.columns
    asked = {link: rival.read_link(link, columns) for link in map(rival.tidy, links)}
    formulas = {text: rival.write_link(formula, call, link) for text, link in asked.items()}
    if len(formulas) < 2:
        raise ModelError("aggregations() compares links: name two or more")
    most = max(50, draws // 4) if engine_of(engine).chains else draws
    settings = Settings(draws=most, random_seed=random_seed, progress=False)
    fits = {}
    for link, text in formulas.items():
        given = {
            key: rival.carried(getattr(model._draft.arguments, key), name, asked[link]) for key in ("priors", "fixed")
        }
        with warnings.catch_warnings():  # the model has told already which groups it left out
            warnings.filterwarnings("ignore", "dropped ", MicromacroWarning)
            rewritten = model._changed({"formula": text, **given})
        fits[link] = rewritten._run(engine, settings, partial=False)
    own = {link: rival.shape_text(fit, name) for link, fit in fits.items()}
    return rival.judge(fits, formulas, own, rival.nesting(fits, name))


def table(
    fits: Any,
    format: Literal["dataframe", "html", "latex", "markdown"] = "dataframe",  # noqa: A002
    *,
    below: Literal["se", "interval", "none"] = "se",
    ci: float = 0.95,
    digits: int = 3,
    stars: bool = False,
    labels: Mapping[str, str] | None = None,
    statistics: Sequence[str] | None = None,
    caption: str | None = None,
    label: str | None = None,
) -> Any:
    """Fits side by side, as a paper shows them.

    Parameters
    ----------
    fits : Fit, sequence of Fit, or dict of Fit by name
        Names are the heads of the columns; without them (1), (2), ...
    format : {"dataframe", "html", "latex", "markdown"}
        LaTeX needs the packages booktabs and multirow. HTML and LaTeX need the extra ``[tables]``, Markdown too.
    below : {"se", "interval", "none"}
        What is below an estimate: standard error (posterior standard deviation), interval, or nothing.
    ci : float
        Level of the intervals, which the note of the table states.
    digits : int
        Decimals.
    stars : bool
        Mark p-values of ml and reml below 0.05, 0.01 and 0.001.
    labels : dict, optional
        What to call parameters.
    statistics : sequence of str, optional
        The rows at the end: some of ``Groups`` (``Observations`` without members), ``Members``, ``Memberships``,
        ``Units``, ``Family``, ``Engine``, ``Log-likelihood``, ``AIC``, ``BIC``, ``Draws``, ``Largest R-hat`` and
        ``ELPD`` (by leave-one-out, which takes time); without it all but the last that a fit has.
    caption, label : str, optional
        Of a HTML or LaTeX table.

    Returns
    -------
    DataFrame or str
        Indexed by section and parameter, cells as text; or the table in the format asked for.

    Raises
    ------
    ModelError, EngineError
        For objects that are not fits, and for unknown formats, labels and statistics.
    """
    from .results.tables.sidebyside import Arrangement, named, table_of

    chosen = (statistics,) if isinstance(statistics, str) else None if statistics is None else tuple(statistics)
    layout = Arrangement(below, ci, digits, stars, labels, chosen)
    return table_of(named(fits), format, layout, caption, label)


public_all(globals(), ("aggregations", "compare", "fit", "load", "table"))
