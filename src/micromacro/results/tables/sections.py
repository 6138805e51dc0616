"""The sections into which every table of parameters falls: one list for reports and for fits side by side."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Section:
    """Parameters that are shown together.

    Attributes
    ----------
    title : str
        In a report.
    short : str
        In a table of fits side by side.
    kinds : tuple of str
        Classes of parameters; empty for those that no other section has.
    """

    title: str
    short: str
    kinds: tuple[str, ...] = ()

    def has(self, kind: str) -> bool:
        """Whether parameters of a class stand here."""
        return section_of(kind) is self


REST = Section("Parameters of the family", "Family")
SECTIONS = (
    Section("Coefficients", "Coefficients", ("b", "Intercept")),
    Section("Weight parameters", "Weights", ("w", "aggregate")),
    Section("Spread (standard deviations)", "Spread", ("sd", "cor", "rho", "scale", "sigma")),
    REST,
    Section("Baseline (log hazard per unit of time, at mean covariates)", "Baseline", ("baseline",)),
)


def section_of(kind: str) -> Section:
    """Where parameters of a class are shown."""
    return next((s for s in SECTIONS if kind in s.kinds), REST)
