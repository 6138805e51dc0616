"""BLAS works in one thread while an engine runs, and as before afterwards."""

import threading
from dataclasses import replace

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

import micromacro as mm
from micromacro.engines import registry as choose
from micromacro.engines.base import Settings
from micromacro.engines.threads import _libraries, one_blas_thread


def blas_threads() -> list[int]:
    return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]


def test_one_blas_thread_inside_and_the_old_number_after() -> None:
    before = blas_threads()
    with one_blas_thread():
        assert set(blas_threads()) == {1}
    assert blas_threads() == before


def test_an_engine_runs_with_one_thread_and_gives_them_back_when_it_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def engine(specification: object, settings: object) -> None:
        seen.extend(blas_threads())
        np.linalg.cholesky(-np.eye(2))

    before = blas_threads()
    specification = mm.Model("y ~ x", {"y": [0.1, 0.9, 0.4, 1.2], "x": [0.0, 1.0, 2.0, 3.5]}).specification
    monkeypatch.setitem(choose.ENGINES, "ml", replace(choose.ENGINES["ml"], run=engine))
    with pytest.raises(np.linalg.LinAlgError):
        choose.run_engine("ml", specification, Settings())
    assert set(seen) == {1}
    assert blas_threads() == before


def test_contexts_of_several_threads_give_blas_back_when_the_last_is_left() -> None:
    before = blas_threads()
    first, second = threading.Event(), threading.Event()

    def hold() -> None:
        with one_blas_thread():
            first.set()
            second.wait(10)

    other = threading.Thread(target=hold)
    with one_blas_thread():
        other.start()
        assert first.wait(10)
    assert set(blas_threads()) == {1}  # the other one is still inside
    second.set()
    other.join()
    assert blas_threads() == before


@pytest.mark.parametrize("where", [0, 1, 2], ids=["entering", "leaving", "leaving, library by library"])
def test_an_interrupt_while_blas_is_told_leaves_it_as_it_was(monkeypatch: pytest.MonkeyPatch, where: int) -> None:
    before, calls = blas_threads(), []
    library = _libraries()[-1]
    whole = library.set_num_threads

    def told(count: int) -> None:
        calls.append(count)
        if len(calls) == min(where + 1, 2):
            if where == 2:
                whole(count)
            raise KeyboardInterrupt
        whole(count)

    monkeypatch.setattr(library, "set_num_threads", told)
    with pytest.raises(KeyboardInterrupt), one_blas_thread():
        pass
    monkeypatch.undo()
    assert blas_threads() == before
    with one_blas_thread():
        assert set(blas_threads()) == {1}
    assert blas_threads() == before


def test_a_limit_of_the_users_that_ends_meanwhile_is_not_brought_back() -> None:
    before = blas_threads()
    entered, ended = threading.Event(), threading.Event()

    def hold() -> None:
        with one_blas_thread():
            entered.set()
            ended.wait(10)

    other = threading.Thread(target=hold)
    with threadpool_limits(1):
        other.start()
        assert entered.wait(10)
    ended.set()
    other.join()
    assert blas_threads() == before
