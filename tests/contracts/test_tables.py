"""The tables of the contracts have a row for everything that there is: what is new and has none fails here."""

from __future__ import annotations

from micromacro.effects.registry import KINDS as EFFECTS
from micromacro.engines.registry import ENGINES
from micromacro.families.registry import FAMILIES as KNOWN_FAMILIES
from micromacro.results.fit import Fit
from micromacro.results.plots.registry import PICTURES
from micromacro.terms.member.aggregate import AGGREGATES, MEAN

from . import claims, test_renamed, test_sound
from .tables import ABOUT, FAMILIES, KINDS, LATER, OFTEN, PLAIN, WAITS, pairs, waits
from .verbs import ENGINE_ROWS, PICTURE_ROWS, VERBS


def about(*of: str) -> set[str]:
    """What rows are about that are about all of these."""
    return {word for kind in KINDS.values() if set(of) <= set(kind.about) for word in kind.about}


def test_every_kind_of_effects_has_rows_for_members_and_units():
    assert set(EFFECTS) <= about("block")
    of_blocks_only = {"none", "shared", "correlated_with"}
    assert set(EFFECTS) - of_blocks_only <= about("unit")


def test_every_aggregate_has_a_row():
    assert {*AGGREGATES, MEAN} <= about("feature")


def test_rows_are_about_what_there_is():
    assert set(ABOUT) <= about()
    assert about() <= {*EFFECTS, *AGGREGATES, MEAN, *ABOUT}


def test_every_family_has_a_row_that_all_kinds_meet():
    assert set(PLAIN) == set(KNOWN_FAMILIES)
    assert {row.word for row in FAMILIES.values()} == set(KNOWN_FAMILIES)
    met = {kind: {f for k, f in pairs() if k == kind} for kind in KINDS}
    assert all(met[k] >= set(PLAIN) for k, row in KINDS.items() if row.families is None)


def test_every_engine_has_a_row():
    assert set(ENGINE_ROWS) == set(ENGINES)


def test_every_verb_of_a_fit_has_a_row():
    assert set(VERBS) == {name for name in dir(Fit) if not name.startswith("_")}


def test_every_picture_has_a_row():
    assert set(PICTURE_ROWS) == set(PICTURES)


CORE = (
    "own_tables_are_fitted", "a_subset_is_the_subset_of_the_whole", "a_contrast_is_the_difference_of_predictions",
    "gradients_are_differences",
)  # fmt: skip


def test_each_run_asks_enough_kinds_with_all_families():
    met, all_but_late = pairs(), [f for f in PLAIN if f not in LATER]
    assert len(all_but_late) >= 13
    for contract in CORE:
        wide = [k for k in KINDS if all((k, f) in met and not waits(contract, k, f) for f in all_but_late)]
        assert len(wide) >= 25, contract
        for kind, row in KINDS.items():  # and no kind is left out, nor a form of outcome
            assert any(not waits(contract, kind, f) for f in (row.families or OFTEN)), kind
        assert all(any(not waits(contract, k, f) for k, f in met if f == form) for form in FAMILIES)


def test_kinds_can_be_read_from_the_names_of_tests():
    assert not any("-" in kind for kind in KINDS)


def test_what_waits_is_a_contract():
    asked = set(claims.OF_PAIRS) | set(test_sound.CLAIMS) | set(test_renamed.CLAIMS)
    asked |= {"verbs", "costly verbs", "whole", "in_part"}
    asked |= {f"another name{what}" for what in ("", ", anew", ", pictures", ", files")}
    assert set(WAITS) <= asked
