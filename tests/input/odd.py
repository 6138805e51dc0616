"""Formulas that are mutated and tables that are odd, the same for a seed and a number."""

# ruff: noqa: E501, RUF012, DTZ001, BLE001

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd

ROWS = 24

BASES = [
    "y ~ a + b + C(k) + I(a ** 2) + log(p):b",
    "y ~ a * k + poly(p, 2) - b + (1 | g)",
    "y ~ bs(p, df=4) + (1 + a | g) + offset(log(p))",
    "y ~ mm(m, h, a + b, weights = 1 / n ** exp(-(b0 + b1 * a)), normalize = group)",
    "y ~ 1 + mm(m, h, 1 + a, weights = power(a + b), effects = iid(1 + a), name = B)",
    "y ~ b + mm(m, h, a, aggregate = threshold(c, kappa)) + fix(a, 1.5)",
    "y ~ mm(m, h, p, aggregate = smax(kappa)) + B1:a + mm(q, h, name = B1)",
    "y ~ mm(m, h, a, weights = where(k == 'u', w1, exp(w2 * a)) / sum(a), effects = walk(p))",
    "y ~ mm(m, h, weights = softmax(a), normalize = none, effects = none) + m:a",
    "log(p) ~ scale(a) * center(b) + (1 | g / q)",
    "trials(z, n) ~ a + (1 | g:q)",
    "surv(p, z) ~ a + C(k, contr.sum)",
    "surv(a, p, type = 'interval') ~ b",
    "y ~ (a + b + p) ** 2 + hm(g, 1 + a, name = U)",
    "y ~ mm(m, h, aggregate = E(w * p ** c)) + mm(q, h, aggregate = hhi)",
    "y ~ a + mm(m, h, weights = rank(a) + quantile(a, 0.5) + first(a, by = p))",
    "y ~ mm(m, h, effects = ar1(p)) + (1 | q)",
    "y ~ cr(p, df = 4, constraints = 'center') + d:k + I(k == 'u')",
]  # fmt: skip

PIECES = (
    "y a b p z n k g h m q d w B U c kappa b0 b1 sum mean max exp log I C poly bs cr mm hm offset fix trials surv Surv scale "
    "center where rank first last quantile by df degree weights normalize aggregate effects name parameters group total none "
    "iid walk ar1 correlated fixed shared car known power logistic softmax threshold moment smax gmean hhi effn entropy var "
    "cov E contr.sum contr.treatment True None class µ ( ) ( ) , , + - * / ** ^ : % ~ | || = == != < > <= 0 1 2 3 0.5 1e3 "
    "1e308 1e999 99999 -1 'u' \"u\" 'x y' `a` `a b` \\ ` \" ' \n \x00 . .. ; [ ] { } # @ ! ? $ & é 变 \ud800 9**9**9 (1|g) "
    "+a -a *a :a ((( ))) a+a+a+a ,,"
).split(" ")  # fmt: skip


def sound_table() -> pd.DataFrame:
    """A table on which the bases make models, or nearly."""
    rng = np.random.default_rng(20)
    h = np.repeat(np.arange(ROWS // 2), 2)
    of_group = {
        "y": rng.normal(size=ROWS), "a": rng.normal(size=ROWS), "b": rng.normal(size=ROWS),
        "p": rng.uniform(0.5, 3.0, ROWS), "z": rng.integers(0, 2, ROWS), "k": rng.choice(list("uvw"), ROWS),
        "g": rng.integers(0, 5, ROWS), "q": rng.choice(["s", "t", "r"], ROWS), "d": rng.random(ROWS) < 0.5,
    }  # fmt: skip
    frame = pd.DataFrame({name: np.asarray(values)[h] for name, values in of_group.items()})
    return frame.assign(h=h, m=rng.integers(0, 7, ROWS), n=2, **{"µ": frame.a, "True": frame.b})


def formulas(seed: int, number: int) -> str:
    """A base or a grown formula with changes, or pieces put together."""
    rng = np.random.default_rng([seed, number])
    way = rng.random()
    if way < 0.1:
        text = "y ~ " + " ".join(PIECES[k] for k in rng.integers(len(PIECES), size=rng.integers(1, 12)))
    elif way < 0.4:
        text = BASES[rng.integers(len(BASES))]
    else:
        text = Grown(rng).formula()
        if rng.random() < 0.7:
            return text
    for _ in range(rng.integers(1, 5)):
        text = _changed(text, rng)
    return text


class Grown:
    """Formulas that are well formed and ask for anything."""

    NAMES = "a b p z n k a b p z d µ True k g h m q y x `a b`".split(" ")
    NUMBERS = "0 1 2 3 0.5 -1 1e3 1e308 99999 1e-300 7.5".split(" ")
    PLAIN = "a b p z d n µ True".split(" ")
    ANY = [*NAMES, *NUMBERS, "'u'", "b0"]
    ROWWISE = "I log log10 log2 log1p exp expm1 exp2 sqrt abs sin cos tan round floor ceil pow scale center".split(" ")
    WEIGHT = (
        "exp log log1p expm1 sqrt abs logit ilogit probit iprobit cloglog tanh where minimum maximum min max mean sum median "
        "sd var range rank largest smallest quantile first last power logistic softmax log2 log10 sin cos round floor ceil pow mode"
    ).split(" ")  # fmt: skip
    EFFECTS = (
        "iid none fixed walk ar1 correlated car icar known shared iid(1+a) correlated(1+a) walk(p) walk(a,p) ar1(p) car(G) "
        "shared(m) shared(B,1) correlated_with(m) iid(0) iid(k) iid(a:k) walk(k) walk(1) known(K) iid(1+C(k))"
    ).split(" ")  # fmt: skip
    AGGREGATES = (
        "sum var hhi effn entropy cov moment(2) moment(r) moment(99999) moment(-1) moment(0.5) threshold(c,2) "
        "threshold(c,kappa) threshold(c,c) smax(kappa) smax(0) smax(1e308) gmean(r) gmean(0) E(w*a) E(w*a**r) E(exp(r*p)) "
        "E(k) E(1) E(w) E(sum(a)) E(a/0) E(log(-p)) var(2) sum(a) hhi(r)"
    ).split(" ")  # fmt: skip

    def __init__(self, rng: np.random.Generator):
        self.rng = rng

    def pick(self, words: list[str]) -> str:
        return words[self.rng.integers(len(words))]

    def arguments(self, function: str, depth: int, words: list[str]) -> str:
        """Arguments of a function, now and then too many or by a name."""
        usual = {"where": 3, "minimum": 2, "maximum": 2, "quantile": 2, "pow": 2}.get(function, 1)
        odd = self.rng.random() < 0.08
        out = [self.expression(depth - 1, words) for _ in range(self.rng.integers(0, 4) if odd else usual)]
        if function in ("first", "last"):
            out.append(f"by = {self.expression(1, words)}")
        if function in ("poly", "bs", "cr", "cs", "cc") and not odd:
            out.append(f"{'degree' if function == 'poly' else 'df'}={self.pick(['2', '3', '4', '5', '9', '50'])}")
        if self.rng.random() < 0.05:
            key = self.pick("by df degree raw center scale ddof base contrasts extrapolation knots levels".split(" "))
            out.append(
                f"{key}={self.pick(['2', '4', '0', '1', '99999', 'a', 'contr.sum', chr(34) + 'extend' + chr(34)])}"
            )
        return ", ".join(out)

    def expression(self, depth: int, words: list[str]) -> str:
        """Arithmetic, comparisons and functions."""
        way = self.rng.random()
        if depth <= 0 or way < 0.3:
            free = words is self.WEIGHT and self.rng.random() < 0.2
            return self.pick(["b0", "b1", "n"] if free else self.PLAIN if self.rng.random() < 0.7 else self.ANY)
        if way < 0.55:
            op = self.pick("+ - * / + - * / ** ^ < > == <= % : !=".split(" ")[: 18 if self.rng.random() < 0.1 else 14])
            return f"{self.expression(depth - 1, words)} {op} {self.expression(depth - 1, words)}"
        if way < 0.65:
            return f"({self.expression(depth - 1, words)})"
        if way < 0.7:
            return f"-{self.expression(depth - 1, words)}"
        function = self.pick(words)
        return f"{function}({self.arguments(function, depth, words)})"

    def fixed(self) -> str:
        """Products of factors."""
        factors = []
        for _ in range(self.rng.choice([1, 1, 2, 3, 6])):
            plain = self.rng.random() < 0.5
            function = self.pick([*self.ROWWISE, "C", "poly", "bs", "cr", "cs", "cc", "C"])
            factors.append(
                self.pick(self.NAMES) if plain else f"{function}({self.arguments(function, 2, self.ROWWISE)})"
            )
        text = self.pick([":", "*", " + ", "/"]).join(factors)
        return f"({text})**{self.pick(['2', '3', '0', '99999999', '1.5'])}" if self.rng.random() < 0.15 else text

    def member(self) -> str:
        """A member block."""
        parts = [self.pick(["m", "m", "m", "q", "g", "k", "d", "a"]), self.pick(["h"] * 12 + ["g", "k"])]
        if self.rng.random() < 0.6:
            parts.append(" + ".join(self.fixed() for _ in range(self.rng.integers(1, 3))))
        if self.rng.random() < 0.7:
            parts.append(f"weights = {self.expression(3, self.WEIGHT)}")
        if self.rng.random() < 0.3:
            parts.append(f"normalize = {self.pick(['group', 'total', 'none'])}")
        if self.rng.random() < 0.4:
            parts.append(f"effects = {self.pick(self.EFFECTS)}")
        if self.rng.random() < 0.4:
            parts.append(f"aggregate = {self.pick(self.AGGREGATES)}")
        if self.rng.random() < 0.3:
            parts.append(f"name = {self.pick(['B', 'a', 'sigma', 'y', 'Intercept'])}")
        return f"mm({', '.join(parts)})"

    def term(self) -> str:
        """Any term."""
        way = self.rng.integers(8)
        if way < 3:
            return self.fixed()
        if way == 3:
            return self.member()
        if way == 4:
            unit = self.pick(["g", "q", "g:q", "g/q", "k:d", "a", "g:q:k", "h"])
            return f"({self.pick(['1', '1 + a', '0 + k', 'a', self.fixed()])} {self.pick(['|', '||'])} {unit})"
        if way == 5:
            return f"offset({self.expression(2, self.WEIGHT)})"
        if way == 6:
            return f"fix({self.fixed()}, {self.pick(self.NUMBERS)})"
        return self.pick(["1", "0", "B:a", "m:a", "m*k", "hm(g, 1 + a)", "B:m", "-1"])

    def formula(self) -> str:
        """A whole formula."""
        outcome = self.pick(["y", "y", "y", "log(p)", "trials(z, n)", "trials(z, 3)", "surv(p, z)", "z", "k", "d", "p", "I(y/2)",
                             "surv(a, p, type='interval')", "surv(b, p, z)", self.expression(2, self.WEIGHT)])  # fmt: skip
        terms = [self.term() for _ in range(self.rng.choice([1, 1, 2, 3]))]
        return f"{outcome} ~ " + self.pick([" + ", " + ", " - "]).join(terms)


def _changed(text: str, rng: np.random.Generator) -> str:
    start, stop = np.sort(rng.integers(0, len(text) + 1, size=2))
    stop = min(stop, start + rng.integers(0, 15))
    piece = PIECES[rng.integers(len(PIECES))]
    what = rng.integers(9)
    if what == 0:
        return text[:start] + text[stop:]
    if what == 1:
        return text[:start] + piece + text[start:]
    if what == 2:
        return text[:start] + piece + text[stop:]
    if what == 3:  # again
        return text[:stop] + text[start:stop] + text[stop:]
    if what == 4:  # again and again
        times = int(rng.integers(2, 400))
        return (text[:start] + text[start:stop] * times + text[stop:])[:5000]
    if what == 5:  # a word for another
        words = text.split(" ")
        words[rng.integers(len(words))] = piece
        return " ".join(words)
    if what == 6:  # parts of another
        other = BASES[rng.integers(len(BASES))]
        return text[:start] + other[other.index("~") + 1 :] + text[stop:]
    if what == 7:
        return (
            text[:start]
            + "(" * int(rng.integers(1, 80))
            + text[start:stop]
            + ")" * int(rng.integers(1, 80))
            + text[stop:]
        )
    return text[:start] + text[start:stop][::-1] + text[stop:]


class Raises:
    """An object that raises whatever it is asked."""

    def __eq__(self, other):
        raise RuntimeError("no comparison")

    def __ne__(self, other):
        raise ValueError("no comparison")

    def __hash__(self):
        raise TypeError("no hash")

    def __repr__(self):
        raise RuntimeError("no text")

    __str__ = __repr__

    def __float__(self):
        raise ZeroDivisionError

    def __bool__(self):
        raise RuntimeError

    def __len__(self):
        raise RuntimeError

    def __array__(self, *args, **kwargs):
        raise RuntimeError


class OddText(str):
    """Text that cannot be compared or hashed."""

    __slots__ = ()

    def __eq__(self, other):
        raise RuntimeError("no comparison")

    def __hash__(self):
        raise TypeError("no hash")

    def __str__(self):
        raise RuntimeError("no text")


def _columns(rng: np.random.Generator, rows: int) -> dict:
    """Kinds of odd columns, each made when it is asked for."""
    pick = lambda values: [values[k] for k in rng.integers(len(values), size=rows)]  # noqa: E731
    return {
        "objects that raise": lambda: [Raises() for _ in range(rows)],
        "text that raises": lambda: [OddText("ab"[k % 2]) for k in range(rows)],
        "mixed": lambda: pick([1, "a", None, 2.5, True]),
        "numbers and flags": lambda: pick([1, True, 2.5]),
        "decimals": lambda: pick([Decimal("1.5"), Decimal("NaN"), Decimal("sNaN"), Decimal("Infinity"), Decimal(2)]),
        "sound decimals": lambda: pick([Decimal("1.5"), Decimal("2.25"), Decimal(2)]),
        "large decimals": lambda: pick([Decimal(10) ** 400, Decimal(2) ** 53 + 1]),
        "fractions": lambda: pick([Fraction(1, 3), Fraction(2, 3)]),
        "large whole numbers": lambda: pick([2**53 + 1, 2**62, 10**30, -(10**400)]),
        "unsigned": lambda: np.array(pick([2**63 + 5, 1]), dtype=np.uint64),
        "large beside missing": lambda: pick([2**53 + 1, None]),
        "complex": lambda: rng.normal(size=rows) * 1j,
        "durations": lambda: pd.to_timedelta(rng.integers(0, 9, rows), unit="D"),
        "lists": lambda: [[1, 2], *([3] for _ in range(rows - 1))],
        "arrays inside": lambda: [1.0, *(np.ones(2) for _ in range(rows - 1))],
        "dicts": lambda: [{"a": 1} for _ in range(rows)],
        "sets": lambda: [{1} for _ in range(rows)],
        "bytes": lambda: pick([b"a", b"b"]),
        "text with nul": lambda: pick(["a", "a\0", "b"]),
        "half characters": lambda: pick(["a", "\ud800", "b"]),
        "long text": lambda: pick(["a" * 10_000, "b" * 10_000]),
        "empty text": lambda: pick(["", " ", "a"]),
        "text of numbers": lambda: pick(["1", "2", "1.0"]),
        "nan": lambda: np.full(rows, np.nan),
        "some nan": lambda: np.where(rng.random(rows) < 0.3, np.nan, rng.normal(size=rows)),
        "infinite": lambda: np.where(rng.random(rows) < 0.3, np.inf, rng.normal(size=rows)),
        "tiny and huge": lambda: np.array(pick([1e-320, 1e308, -1e308, 0.0])),
        "negative zero": lambda: np.array(pick([0.0, -0.0])),
        "constant": lambda: np.ones(rows),
        "none": lambda: [None] * rows,
        "not a time": lambda: np.full(rows, "NaT", dtype="datetime64[ns]"),
        "times": lambda: np.array(pick(["2020-01-01", "2021-02-03", "1700-01-01"]), dtype="datetime64[s]"),
        "times with zones": lambda: pd.to_datetime(pick(["2020-01-01", "2020-06-01"]), utc=True).tz_convert(
            "Asia/Tokyo"
        ),
        "first times": lambda: pick(
            [dt.datetime(1, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=9))), dt.datetime(2020, 1, 1)]
        ),
        "times of day": lambda: pick([dt.time(1), dt.time(2)]),
        "days": lambda: pick([dt.date(2020, 1, 1), dt.date(9999, 12, 31)]),
        "periods": lambda: pd.period_range("2020", periods=rows, freq="M"),
        "intervals": lambda: pd.cut(rng.normal(size=rows), 3),
        "categories": lambda: pd.Categorical(pick(["a", "b"]), categories=["z", "b", "a", "y"]),
        "categories missing": lambda: pd.Categorical(pick(["a", None]), categories=["a", "b"]),
        "no category": lambda: pd.Categorical([None] * rows),
        "categories of numbers": lambda: pd.Categorical(pick([1, 2, 3]), ordered=True),
        "categories alike": lambda: pd.Categorical(pick([1, "1"]), categories=[1, "1"]),
        "Int64": lambda: pd.array(pick([1, 2, None]), dtype="Int64"),
        "Float64": lambda: pd.array(pick([1.5, 2.0, None]), dtype="Float64"),
        "boolean": lambda: pd.array(pick([True, False, None]), dtype="boolean"),
        "string": lambda: pd.array(pick(["a", "b", None]), dtype="string"),
        "arrow numbers": lambda: pd.array(pick([1, 2, None]), dtype="int64[pyarrow]"),
        "arrow text": lambda: pd.array(pick(["a", "b", None]), dtype="string[pyarrow]"),
        "sparse": lambda: pd.arrays.SparseArray(pick([0, 0, 1])),
        "half": lambda: rng.normal(size=rows).astype(np.float16),
        "long double": lambda: rng.normal(size=rows).astype(np.longdouble),
        "masked": lambda: np.ma.masked_array(rng.normal(size=rows), rng.random(rows) < 0.3),
        "two dimensions": lambda: rng.normal(size=(rows, 2)),
        "a number": lambda: 3.0,
        "too short": lambda: rng.normal(size=rows - 1),
        "nothing": list,
        "a generator": lambda: (k for k in range(rows)),
        "records": lambda: np.zeros(rows, dtype=[("a", float)]),
        "void": lambda: np.zeros(rows, dtype="V4"),
    }


TABLE_FORMULAS = [
    "y ~ a + x", "y ~ C(x)", "y ~ x * a", "y ~ I(x ** 2)", "y ~ a + (1 | x)", "y ~ a + (1 + x | g)", "x ~ a", "log(x) ~ a",
    "y ~ a + offset(x)", "y ~ mm(x, h)", "y ~ mm(m, x)", "y ~ mm(m, h, x)", "y ~ mm(m, h, weights = 1 / n ** exp(-(b1 * x)))",
    "y ~ mm(m, h, weights = x == 'a')", "y ~ mm(m, h, effects = walk(x))", "y ~ a + (1 | x:g)", "trials(x, n) ~ a",
    "surv(x, z) ~ a", "surv(p, x) ~ a", "surv(p, x, type='interval') ~ a", "y ~ bs(x, df=4)", "y ~ mm(m, h, x, aggregate = var)",
    "y ~ fix(x, 1)", "y ~ I(x == 'a')", "y ~ a + k:x", "y ~ mm(m, h, weights = power(x))",
]  # fmt: skip


def odd_table(seed: int, number: int) -> tuple[str, object]:
    """A formula and a table of which one to three columns, or the table itself, are odd."""
    rng = np.random.default_rng([seed, number, 7])
    formula = TABLE_FORMULAS[rng.integers(len(TABLE_FORMULAS))]
    data: dict = {name: sound_table()[name].to_numpy() for name in sound_table()} | {"x": rng.normal(size=ROWS)}
    kinds = _columns(rng, ROWS)
    names = list(kinds)
    places = ["x", *rng.choice(list("xyahmgkpzn"), size=rng.choice([0, 0, 0, 1, 2]))]
    for place in dict.fromkeys(places):
        data[str(place)] = kinds[names[rng.integers(len(names))]]()
    return formula, _framed(data, rng)


def _framed(data: dict, rng: np.random.Generator) -> object:
    """The columns as they are, or in some data frame, as far as it takes them."""
    shape = rng.integers(9)
    try:
        if shape < 3:
            return data
        frame = pd.DataFrame(data)
        if shape == 4:
            frame.columns = pd.MultiIndex.from_product([["t"], frame.columns])
        if shape == 5:
            frame = frame.iloc[:0]
        if shape == 6:
            frame = pd.concat([frame, frame[["x", "a"]]], axis=1)
        if shape == 7:
            import polars

            return polars.from_pandas(frame)
        if shape == 8:
            import pyarrow

            return pyarrow.Table.from_pandas(frame)
        return frame
    except Exception:  # what a frame does not take stays a dict
        return data
