"""An example for every public name: a row of the table is a name and what is typed.

All see what :data:`SETUP` made. The value of the last line is shown, an Axes as a picture, an error of micromacro as
its message. A name that is missing here fails ``tests/docs/test_reference.py``.
"""

from __future__ import annotations

#: What every example may use; `quiet` are settings of short runs.
SETUP = """
import numpy as np
import pandas as pd

import micromacro as mm

made = mm.simulate.coalitions(groups=240, members=40, countries=8, random_seed=4)
data = made.data
quiet = {"draws": 100, "tune": 200, "chains": 2, "random_seed": 1, "progress": False}
model = mm.Model(made.formula, data)
fit = mm.fit(made.formula, data, engine="ml")
equal = mm.fit(made.formula.replace("power(pseat)", "1 / n"), data, engine="ml")
draws = mm.fit(made.formula, data, **quiet)

rng = np.random.default_rng(1)
toy = pd.DataFrame({"group": np.repeat(np.arange(200), 2), "member": rng.integers(0, 20, 400)})
x = rng.standard_normal(200)
eta = 0.3 + 0.5 * x + 0.5 * rng.standard_normal(20)[toy["member"].to_numpy()].reshape(200, 2).mean(axis=1)
outcomes = pd.DataFrame({
    "x": x, "y": eta + 0.5 * rng.standard_normal(200), "yes": rng.random(200) < 1 / (1 + np.exp(-eta)),
    "hits": rng.binomial(9, 1 / (1 + np.exp(-eta))), "tries": 9, "count": rng.poisson(np.exp(eta)),
    "visits": np.where(rng.random(200) < 0.3, 0, rng.poisson(np.exp(eta + 0.8))), "cost": rng.gamma(2.0, np.exp(eta)),
    "share": rng.beta(6.0 / (1 + np.exp(-eta)), 6.0 / (1 + np.exp(eta))),
    "grade": np.digitize(2.0 * eta + rng.logistic(size=200), [-0.7, 0.5, 1.5]),
    "time": np.exp(eta) * rng.weibull(1.3, 200), "event": 1, "set": np.arange(200) // 4,
    "pick": np.where(eta + rng.logistic(size=200) > 0.5, "a", np.where(rng.random(200) < 0.5, "b", "c")),
})
utility = pd.Series(eta + rng.gumbel(size=200))
outcomes["chosen"] = (utility == utility.groupby(outcomes["set"]).transform("max")).astype(int)
toy = toy.join(outcomes, on="group")
lasted = mm.fit("surv(time, event) ~ x + mm(member, group)", toy, family="weibull", engine="ml")
hazard = mm.fit("surv(time, event) ~ x + mm(member, group)", toy, family="cox", engine="ml")
governments = pd.DataFrame({
    "country": "x", "gov": [1, 1, 2, 2], "party": ["red", "blue", "red", "green"],
    "share": [0.5, 0.5, 0.75, 0.25], "left": [2.0, 6.0, 3.0, 9.0],
})
"""


def _of(outcome: str, family: str) -> str:
    return f'mm.fit("{outcome} ~ x + mm(member, group)", toy, family="{family}", engine="ml").params'


TOP = {
    "fit": 'mm.fit(made.formula, data, engine="ml")',
    "Model": "print(mm.Model(made.formula, data))",
    "compare": 'mm.compare({"estimated": fit, "equal": equal})',
    "aggregations": 'mm.aggregations(mm.Model("log_duration ~ mm(pid, gid, cohesion)", data), ["mean", "max", "power(pseat)"])',
    "pedigree": 'mm.pedigree(["calf", "sire", "dam"], ["sire", None, None], ["dam", None, None])',
    "load": 'fit.save("coalitions.nc")\nmm.load("coalitions.nc").params',
    "table": 'mm.table({"equal": equal, "estimated": fit})',
    "Fit": "fit",
    "PartitionedFit": 'from tempfile import mkdtemp\n\nfolder = mkdtemp()\ndata.to_parquet(f"{folder}/1.parquet")\napart = mm.fit("log_duration ~ mm(pid, gid)", folder, engine="ml", progress=False)\nnext(apart.by_partition("weights")).head(3)',
    "Aggregations": 'made_of = mm.aggregations(mm.Model("log_duration ~ mm(pid, gid, cohesion)", data), ["mean", "max"])\nmade_of.decided',
    "Bootstrap": "fit.bootstrap(20, random_seed=1).summary()",
    "Check": "model.check()",
    "Finding": "[finding.message for finding in model.check().findings][:2]",
    "Elpd": "draws.loo(integrated=True)",
    "Evidence": "draws.log_evidence(random_seed=1)",
    "Family": "isinstance(fit.family, mm.Family), fit.family",
    "Health": "fit.health",
    "Note": "[str(note) for note in draws.notes][:3]",
    "LikelihoodRatio": "fit.lr_test(equal)",
    "Members": "fit.members().ranking(top=5).head(3)",
    "Prior": "isinstance(mm.prior.normal(0, 1), mm.Prior)",
    "SavedFile": 'fit.save("coalitions.nc")',
    "SavedResults": 'fit.save("coalitions.nc", contents="summary")\nmm.load("coalitions.nc").summary().head(3)',
    "Simulation": "model.simulate(fit.params, draws=3, random_seed=1)",
    "WaldTest": 'fit.wald_test("majority = 0")',
    "MicromacroError": 'mm.fit("log_duration ~ majority + mm(pid, gid", data)',
    "FormulaError": 'mm.fit("log_duration ~ majority +* mwc", data)',
    "DataError": 'mm.fit("log_duration ~ majorty + mm(pid, gid)", data)',
    "ModelError": 'mm.fit("log_duration ~ majority", data, family="gausian")',
    "CollinearError": 'mm.fit("log_duration ~ majority + I(2 * majority)", data, engine="ml")',
    "EngineError": "draws.aic",
    "LostWorkerError": "class Gone:\n    def submit(self, *task, **options):\n        raise RuntimeError('no worker left')\n\n"
    'mm.fit(made.formula, data, engine="ml", solver="iterative", executor=Gone(), progress=False)',
    "ArgumentError": "fit.summary(level=0.9)",
    "FileError": 'mm.load("nothing.nc")',
    "MissingExtraError": "issubclass(mm.MissingExtraError, ImportError)",
    "MicromacroWarning": 'import warnings\n\nwith warnings.catch_warnings():\n    warnings.simplefilter("error", mm.MicromacroWarning)\n'
    '    fit.conf_int(ci=0.05)',
}  # fmt: skip

MODEL = {
    "check": "model.check()",
    "explain": "model.explain()",
    "fit": 'model.fit("ml").params',
    "formula": "model.formula",
    "parameters": "model.parameters",
    "prior_predictive": "model.prior_predictive(50, random_seed=1)",
    "simulate": "model.simulate(fit.params, draws=3, random_seed=1)",
    "specification": "model.specification.names",
}

FIT = {
    "aic": "fit.aic",
    "baseline": "hazard.baseline().head(3)",
    "bic": "fit.bic",
    "bootstrap": "fit.bootstrap(20, random_seed=1).summary()",
    "bse": "fit.bse",
    "changes": 'fit.changes("cid", "cohesion", random_seed=1).iloc[:3, :6]',
    "comparisons": 'fit.comparisons({"majority": (0, 1)})',
    "conf_int": "fit.conf_int()",
    "contraction": "draws.contraction()",
    "cov_params": "fit.cov_params().round(4)",
    "engine": "fit.engine",
    "extend": "draws.extend(20, progress=False).nobs",
    "family": "fit.family",
    "fitted": "fit.fitted().head(3)",
    "formula": "fit.formula",
    "glance": "fit.glance()",
    "group_correlation": "fit.group_correlation(*fit.specification.group_ids[:2], random_seed=1)",
    "health": "fit.health",
    "hypothesis": 'fit.hypothesis("majority > 0")',
    "identification": "fit.identification()",
    "interpret": 'print(*fit.interpret()["sentence"], sep="\\n")',
    "kfold": "fit.kfold(3, random_seed=1)",
    "log_evidence": "draws.log_evidence(random_seed=1)",
    "loglik": "fit.loglik",
    "loo": "draws.loo(integrated=True)",
    "loo_pit": "draws.loo_pit(random_seed=1).head(3)",
    "lr_test": "fit.lr_test(equal)",
    "members": "fit.members().contributions().head(3)",
    "model": "fit.model.parameters.head(3)",
    "nobs": "fit.nobs",
    "notes": "[str(note) for note in draws.notes][:3]",
    "params": "fit.params",
    "plot": "fit.plot.weights()",
    "posterior": "fit.posterior.estimate",
    "ppc": "draws.ppc(random_seed=1)",
    "predict": "fit.predict().head(3)",
    "predictions": 'fit.predictions(by="majority")',
    "profile": 'fit.profile("pid.w.pseat")',
    "r2": "fit.r2(random_seed=1)",
    "random_effects": 'fit.random_effects("pid").head(3)',
    "report": "fit.report()",
    "residuals": 'fit.residuals("pearson").head(3)',
    "save": 'fit.save("coalitions.nc")',
    "seconds": "fit.seconds < 60",
    "sensitivity": "draws.sensitivity()",
    "slopes": 'fit.slopes("cohesion")',
    "specification": "fit.specification.groups",
    "summary": "fit.summary()",
    "survival": "lasted.survival([1.0, 2.0]).head(4)",
    "tidy": "fit.tidy().head(3)",
    "to_datatree": 'list(draws.to_datatree(random_seed=1, prior_draws=20).children)',
    "update": 'fit.update(engine="reml").params.head(3)',
    "variance_components": "fit.variance_components()",
    "waic": "draws.waic()",
    "wald_test": 'fit.wald_test("majority = 0")',
    "weights": "fit.weights().head(4)",
}  # fmt: skip

PLOTS = {
    "caterpillar": "fit.plot.caterpillar()",
    "coefficients": "fit.plot.coefficients()",
    "comparisons": 'fit.plot.comparisons("majority")',
    "effects": "fit.plot.effects()",
    "heatmap": "fit.plot.heatmap()",
    "loo": "draws.plot.loo()",
    "network": "fit.plot.network()",
    "predictions": 'fit.plot.predictions("cohesion")',
    "predictive": "draws.plot.predictive(random_seed=1)",
    "prior": 'draws.plot.prior("pid.w.pseat")',
    "rank": "draws.plot.rank()",
    "residuals": "fit.plot.residuals()",
    "slopes": 'fit.plot.slopes("cohesion")',
    "survival": "lasted.plot.survival()",
    "trace": "draws.plot.trace()",
    "variance": "fit.plot.variance()",
    "weights": "fit.plot.weights()",
}

FAMILIES = {
    "gaussian": _of("y", "gaussian"),
    "student": _of("y", "student"),
    "bernoulli": _of("yes", "bernoulli"),
    "binomial": _of("trials(hits, tries)", "binomial"),
    "beta_binomial": _of("trials(hits, tries)", "beta_binomial"),
    "poisson": _of("count", "poisson"),
    "negative_binomial": _of("visits", "negative_binomial"),
    "zero_inflated_poisson": _of("visits", "zero_inflated_poisson"),
    "zero_inflated_negative_binomial": _of("visits", "zero_inflated_negative_binomial"),
    "hurdle_poisson": _of("visits", "hurdle_poisson"),
    "hurdle_negative_binomial": _of("visits", "hurdle_negative_binomial"),
    "gamma": _of("cost", "gamma"),
    "beta": _of("share", "beta"),
    "ordinal": _of("grade", "ordinal"),
    "weibull": _of("surv(time, event)", "weibull"),
    "exponential": _of("surv(time, event)", "exponential"),
    "lognormal": _of("surv(time, event)", "lognormal"),
    "cox": _of("surv(time, event)", "cox"),
    "categorical": _of("pick", "categorical"),
    "conditional_logit": _of("choice(chosen, set)", "conditional_logit"),
}

PRIORS = {
    "normal": 'mm.Model(made.formula, data, priors={"majority": mm.prior.normal(0, 1)}).parameters.loc["majority"]',
    "student": 'mm.Model(made.formula, data, priors={"b": mm.prior.student(4, 0, 1)}).parameters.loc["majority"]',
    "uniform": 'mm.Model(made.formula, data, priors={"pid.w.pseat": mm.prior.uniform(-3, 3)}).parameters.loc["pid.w.pseat"]',
    "log_gamma": 'mm.Model("surv(time, event) ~ x + mm(member, group)", toy, family="cox",\n'
    '         priors={"baseline": mm.prior.log_gamma(1.0, 1.0)}).parameters.loc["baseline.1"]',
    "half_normal": 'mm.Model(made.formula, data, priors={"sd": mm.prior.half_normal(1)}).parameters.loc["pid.sd"]',
    "half_student": 'mm.Model(made.formula, data, priors={"sd": mm.prior.half_student(3, 0, 1)}).parameters.loc["pid.sd"]',
    "half_cauchy": 'mm.Model(made.formula, data, priors={"sigma": mm.prior.half_cauchy(1)}).parameters.loc["sigma"]',
    "exponential": 'mm.Model(made.formula, data, priors={"sd": mm.prior.exponential(1)}).parameters.loc["cid.sd"]',
    "gamma": 'mm.Model(made.formula, data, priors={"sigma": mm.prior.gamma(2, 2)}).parameters.loc["sigma"]',
    "beta": 'mm.Model("visits ~ x + mm(member, group)", toy, family="zero_inflated_poisson",\n'
    '         priors={"zi": mm.prior.beta(1, 3)}).parameters.loc["zi"]',
    "fixed": 'mm.Model(made.formula, data, priors={"pid.w.pseat": mm.prior.fixed(1.0)}).parameters.loc["pid.w.pseat"]',
    "lkj": 'mm.Model("log_duration ~ mm(pid, gid) + (1 + majority | cid)", data, priors={"cor": mm.prior.lkj(2)}\n'
    '         ).parameters.loc["cid.cor.1.majority"]',
}  # fmt: skip

MEMBERSHIPS = {
    "changes": 'mm.memberships.changes(governments, "party", "gov", "left", "share", unit="country")',
    "turnover": 'mm.memberships.turnover(governments, "party", "gov", "share", unit="country")',
    "from_candidates": "slots = pd.DataFrame({\"paper\": [1, 1, 1], \"author\": [\"ada\", \"ben\", \"bob\"], \"slot\": [1, 2, 2]})\n"
    'mm.memberships.from_candidates(slots, "author", "paper", "slot")',
    "from_dyads": 'crosses = pd.DataFrame({"male": ["a", "b"], "female": ["b", "c"]})\n'
    'mm.memberships.from_dyads(crosses, "male", "female", member="line")',
    "from_graph": 'import networkx as nx\n\nmm.memberships.from_graph(nx.path_graph(3))',
    "from_libpysal": 'try:\n    import libpysal\nexcept ImportError:\n    print("libpysal is not installed: pip install micromacro[spatial]")\nelse:\n'
    '    print(mm.memberships.from_libpysal(libpysal.weights.lat2W(2, 2)))',
    "from_lists": 'papers = pd.DataFrame({"authors": ["ada; ben", "cleo"]})\nmm.memberships.from_lists(papers, "authors")',
    "from_sparse": "mm.memberships.from_sparse(np.array([[0.0, 1.0], [0.5, 0.5]]))",
    "from_spells": 'spells = pd.DataFrame({"who": ["ada", "ben"], "team": [1, 1], "start": [0, 6], "end": [10, 10]})\n'
    'mm.memberships.from_spells(spells, "who", "team", "start", "end")',
    "from_wide": 'pupils = pd.DataFrame({"school1": ["a", "b"], "school2": [None, "c"]})\n'
    'mm.memberships.from_wide(pupils, ["school1", "school2"])',
    "with_pairs": 'mm.memberships.with_pairs(pd.DataFrame({"male": ["b", "a"], "female": ["a", "b"]}), "male", "female")',
}  # fmt: skip

SIMULATE = {
    "Coalitions": "made.truth",
    "SimulatedDesign": "mm.simulate.friends(100, random_seed=1).formula",
    "coalitions": "mm.simulate.coalitions(groups=150, members=30, countries=8, random_seed=1).data.head(3)",
    "friends": "mm.simulate.friends(100, random_seed=1).data.head(3)",
    "opposition": "mm.simulate.opposition(100, random_seed=1).data.head(3)",
    "roles": "mm.simulate.roles(100, random_seed=1).data.head(3)",
}

DATASETS = {"Boston": "mm.datasets.boston()", "boston": "mm.datasets.boston().tracts.head(3)"}

#: Title of a part of the reference, where its names live, and its examples.
PARTS = {
    "Fitting and what it returns": ("micromacro", TOP),
    "A model that is not fitted": ("micromacro.Model", MODEL),
    "A fit": ("micromacro.Fit", FIT),
    "Pictures of a fit": ("micromacro.results.plots.Plots", PLOTS),
    "Memberships": ("micromacro.memberships", MEMBERSHIPS),
    "Families": ("micromacro.families", FAMILIES),
    "Priors": ("micromacro.prior", PRIORS),
    "Simulated data": ("micromacro.simulate", SIMULATE),
    "Bundled data": ("micromacro.datasets", DATASETS),
}
