"""Designs with several kinds of members, simulated with known truth: opposition, friends, roles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd


@dataclass(frozen=True, eq=False)
class SimulatedDesign:
    """Data from a model whose truth is known.

    Attributes
    ----------
    data : DataFrame
        Long: one row per membership, columns of groups repeated.
    formula : str
        The model that made the data.
    truth : dict
        Its parameters by name (natural scale).
    """

    data: pd.DataFrame
    formula: str
    truth: dict[str, float]


def opposition(groups: int = 400, parties: int = 40, *, random_seed: int | None = None) -> SimulatedDesign:
    """Governments whose outcome depends on the parties inside and on those outside.

    One block has the parties in government, the other those in opposition: in the stacked table each row fills one of
    the two columns and leaves the other's slot empty. Larger parties weigh more in government, smaller ones no less
    outside.

    Parameters
    ----------
    groups, parties : int
        Numbers of governments and of parties; each parliament has five to eight of them, two to four in government.
    random_seed : int, optional

    Returns
    -------
    SimulatedDesign
        Columns: gid, gov, opp (ids, one of them missing in each row), seats, stance, y.
    """
    rng = np.random.default_rng(random_seed)
    truth = {
        "Intercept": 0.5, "gov.stance": 0.8, "opp.stance": -0.6, "gov.w.seats": 1.0, "opp.w.seats": 0.0,
        "gov.sd": 0.7, "opp.sd": 0.4, "sigma": 0.4,
    }  # fmt: skip
    size = rng.integers(5, 9, groups)
    group = np.repeat(np.arange(groups), size)
    party = np.concatenate([rng.choice(parties, n, replace=False) for n in size])
    place = np.concatenate([np.arange(n) for n in size])
    inside = place < np.repeat(rng.integers(2, 5, groups), size)
    seats, stance = rng.standard_normal((2, len(group)))
    y = truth["Intercept"] + truth["sigma"] * rng.standard_normal(groups)
    for name, rows in (("gov", inside), ("opp", ~inside)):
        w = _softmax(truth[f"{name}.w.seats"] * seats[rows], group[rows], groups)
        effect = truth[f"{name}.sd"] * rng.standard_normal(parties)
        y += np.bincount(group[rows], w * (truth[f"{name}.stance"] * stance[rows] + effect[party[rows]]), groups)
    names = np.array([f"party {k:02d}" for k in range(parties)], dtype=object)
    data = pd.DataFrame(
        {
            "gid": group,
            "gov": pd.Series(names[party]).where(inside, None),
            "opp": pd.Series(names[party]).where(~inside, None),
            "seats": seats,
            "stance": stance,
            "y": y[group],
        }
    )
    block = "mm({0}, gid, stance, weights = softmax(seats))"
    return SimulatedDesign(data, f"y ~ 1 + {block.format('gov')} + {block.format('opp')}", truth)


def friends(people: int = 500, *, random_seed: int | None = None) -> SimulatedDesign:
    """People on whom their friends act, the best friend more than the others.

    Each person is a group whose members are the friends, people themselves. The weight exp(b best) says how many times
    an ordinary friend the best one counts: b = 0 is the mean of all friends, a large b the best friend alone.

    Parameters
    ----------
    people : int
        Each names two to six friends among 20 neighbours on a ring; one of them is the best.
    random_seed : int, optional

    Returns
    -------
    SimulatedDesign
        Columns: person, friend, best (0 or 1), habit (of the friend), own (the person's habit), y.
    """
    rng = np.random.default_rng(random_seed)
    truth = {
        "Intercept": 0.2, "own": 0.5, "friend.habit": 0.9, "friend.w.b": float(np.log(4.0)), "friend.sd": 0.5,
        "sigma": 0.5,
    }  # fmt: skip
    size = rng.integers(2, 7, people)
    person = np.repeat(np.arange(people), size)
    step = np.concatenate([rng.choice(np.r_[-10:0, 1:11], n, replace=False) for n in size])
    friend = (person + step) % people
    best = np.concatenate([np.arange(n) == 0 for n in size]).astype(float)
    habit = rng.standard_normal(people)
    w = _softmax(truth["friend.w.b"] * best, person, people)
    effect = truth["friend.sd"] * rng.standard_normal(people)
    y = truth["Intercept"] + truth["own"] * habit + truth["sigma"] * rng.standard_normal(people)
    y += np.bincount(person, w * (truth["friend.habit"] * habit[friend] + effect[friend]), people)
    columns = {"person": person, "friend": friend, "best": best, "habit": habit[friend], "own": habit[person]}
    formula = "y ~ own + mm(friend, person, habit, weights = exp(b * best), normalize = group)"
    return SimulatedDesign(pd.DataFrame(columns | {"y": y[person]}), formula, truth)


def roles(pairs: int = 800, people: int = 60, *, random_seed: int | None = None) -> SimulatedDesign:
    """Exchanges between a sender and a receiver, each role with effects of its own.

    Parameters
    ----------
    pairs, people : int
        Numbers of exchanges (the groups) and of people, who occur in both roles.
    random_seed : int, optional

    Returns
    -------
    SimulatedDesign
        Columns: pair, sender, receiver, rank_s, rank_r (of the two), distance, y; one row a pair fills both slots.
    """
    rng = np.random.default_rng(random_seed)
    truth = {
        "Intercept": 1.0, "distance": -0.5, "sender.rank_s": 0.6, "receiver.rank_r": -0.3, "sender.sd": 1.0,
        "receiver.sd": 0.5, "sigma": 0.6,
    }  # fmt: skip
    sender = rng.integers(0, people, pairs)
    receiver = (sender + rng.integers(1, people, pairs)) % people
    rank, distance = rng.standard_normal(people), rng.standard_normal(pairs)
    out, into = truth["sender.sd"] * rng.standard_normal(people), truth["receiver.sd"] * rng.standard_normal(people)
    y = truth["Intercept"] + truth["distance"] * distance + truth["sigma"] * rng.standard_normal(pairs)
    y += (
        truth["sender.rank_s"] * rank[sender] + out[sender] + truth["receiver.rank_r"] * rank[receiver] + into[receiver]
    )
    data = pd.DataFrame(
        {
            "pair": np.arange(pairs), "sender": sender, "receiver": receiver, "rank_s": rank[sender],
            "rank_r": rank[receiver], "distance": distance, "y": y,
        }
    )  # fmt: skip
    formula = (
        "y ~ distance + mm(sender, pair, rank_s, weights = 1, normalize = none)"
        " + mm(receiver, pair, rank_r, weights = 1, normalize = none)"
    )
    return SimulatedDesign(data, formula, truth)


def _softmax(score: np.ndarray, group: np.ndarray, groups: int) -> np.ndarray:
    """exp(score) scaled to sum to one in each group."""
    raw = np.exp(score)
    return raw / np.bincount(group, raw, groups)[group]
