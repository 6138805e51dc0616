"""Makes the data that the R scripts and the tests read. Run once: the CSV files are kept, so that R need not be there.

python tests/reference/r/make_data.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

HERE = Path(__file__).parent


def write(name, **columns):
    frame = pd.DataFrame(columns)
    for c in frame.select_dtypes("float"):
        frame[c] = frame[c].map(lambda v: float(f"{v:.5g}"))
    frame.to_csv(HERE / f"{name}.csv", index=False)


def covariates(rng, n):
    return {"x": rng.standard_normal(n), "z": rng.integers(0, 2, n)}


def linear():
    rng = np.random.default_rng(101)
    n, units = 240, 30
    unit = np.sort(rng.integers(0, units, n))
    c = covariates(rng, n)
    y = 2.0 + 0.5 * c["x"] - 0.8 * c["z"] + 0.7 * rng.standard_normal(units)[unit] + rng.standard_normal(n)
    write("linear", y=y, **c, unit=unit + 1)


def binary():
    rng = np.random.default_rng(102)
    n, units = 400, 40
    unit = np.sort(rng.integers(0, units, n))
    c = covariates(rng, n)
    eta = -0.4 + 0.8 * c["x"] + 0.5 * c["z"] + 0.9 * rng.standard_normal(units)[unit]
    p = 1 / (1 + np.exp(-eta))
    trials = rng.integers(1, 9, n)
    write("binary", y=(rng.random(n) < p).astype(int), k=rng.binomial(trials, p), n=trials, **c, unit=unit + 1)


def counts():
    rng = np.random.default_rng(103)
    n, units = 300, 30
    unit = np.sort(rng.integers(0, units, n))
    c = covariates(rng, n)
    exposure = rng.uniform(0.5, 4.0, n)
    mean = exposure * np.exp(0.3 + 0.4 * c["x"] - 0.3 * c["z"])
    y = rng.poisson(mean * np.exp(0.5 * rng.standard_normal(units))[unit])
    spread = rng.poisson(mean * rng.gamma(1.5, 1 / 1.5, n))
    write("counts", y=y, spread=spread, exposure=exposure, **c, unit=unit + 1)


def ordinal():
    rng = np.random.default_rng(104)
    n = 300
    c = covariates(rng, n)
    eta = 0.9 * c["x"] - 0.6 * c["z"]
    latent = eta + rng.logistic(size=n)
    write("ordinal", y=1 + np.searchsorted([-1.0, 0.3, 1.6], latent), **c)


def continuous():
    rng = np.random.default_rng(105)
    n = 250
    c = covariates(rng, n)
    eta = 0.5 + 0.6 * c["x"] - 0.4 * c["z"]
    mean = 1 / (1 + np.exp(-0.5 * eta))
    write(
        "continuous",
        positive=np.exp(eta) * rng.gamma(2.5, 1 / 2.5, n),
        share=np.clip(rng.beta(8 * mean, 8 * (1 - mean)), 1e-4, 1 - 1e-4),
        tailed=eta + 0.6 * rng.standard_t(4, n),
        **c,
    )


def durations():
    """Weibull times with shape 1.4, censored in several ways; times are rounded, so that there are ties."""
    rng = np.random.default_rng(106)
    n = 260
    c = covariates(rng, n)
    full = np.exp(1.5 + 0.5 * c["x"] - 0.4 * c["z"]) * rng.weibull(1.4, n)
    entry = np.where(rng.random(n) < 0.4, 0.0, rng.uniform(0.0, 2.0, n))
    full = np.where(full <= entry, entry + full, full)  # all survive their entry; only the arithmetic matters here
    limit = rng.uniform(3.0, 15.0, n)
    time = np.maximum(np.round(np.minimum(full, limit), 1), 0.1)
    entry = np.where(entry >= time, 0.0, entry)
    floor = rng.uniform(0.3, 3.0, n)
    width = rng.uniform(0.5, 3.0, n)
    low = np.floor(full / width) * width
    exact = rng.random(n) < 0.2
    write(
        "durations",
        entry=entry,
        time=time,
        event=(full <= limit).astype(int),
        left_time=np.maximum(full, floor),
        left_event=(full >= floor).astype(int),
        lower=np.where(exact, full, low),
        upper=np.where(exact, full, low + width),
        **c,
    )


def predictors():
    """Outcomes with a second linear predictor: of zeros, of the spread."""
    rng = np.random.default_rng(110)
    n, units = 360, 30
    unit = np.sort(rng.integers(0, units, n))
    c = covariates(rng, n)
    eta = 0.8 + 0.4 * c["x"] - 0.5 * c["z"] + 0.5 * rng.standard_normal(units)[unit]
    certain = rng.random(n) < 1.0 / (1.0 + np.exp(1.0 - 0.6 * c["x"] - 0.9 * rng.standard_normal(units)[unit]))
    phi = np.exp(0.4 + 0.7 * c["z"])
    spread = rng.poisson(np.exp(eta) * rng.gamma(phi, 1.0 / phi))
    mean = 1.0 / (1.0 + np.exp(0.5 - eta))
    chance = rng.beta(6.0 * mean, 6.0 * (1.0 - mean))
    write(
        "predictors",
        **c, unit=unit + 1, certain=np.where(certain, 0, rng.poisson(np.exp(eta))), both=np.where(certain, 0, spread),
        spread=spread, k=rng.binomial(9, chance), n=np.full(n, 9),
        y=eta + np.exp(-0.2 + 0.4 * c["x"]) * rng.standard_normal(n),
        positive=np.exp(eta) * rng.gamma(2.0 * phi, 0.5 / phi),
        share=np.clip(rng.beta(4.0 * phi * mean, 4.0 * phi * (1.0 - mean)), 1e-3, 1.0 - 1e-3),
    )  # fmt: skip


if __name__ == "__main__":
    for make in (linear, binary, counts, ordinal, continuous, durations, predictors):
        make()
