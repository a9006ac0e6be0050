"""Results in order, few at a time, and failures that end everything."""

import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest

from chs_ml.ordered import in_order


def test_results_come_in_the_order_of_the_items_however_long_each_takes() -> None:
    pauses = np.random.default_rng(0).uniform(0.0, 0.004, 60)

    def slow_square(i: int) -> int:
        time.sleep(pauses[i])
        return i * i

    assert list(in_order(slow_square, range(60), workers=4)) == [i * i for i in range(60)]
    assert list(in_order(slow_square, [], workers=4)) == []
    assert list(in_order(slow_square, range(3), workers=1)) == [0, 1, 4]


def test_items_are_taken_only_as_they_are_needed() -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for i in range(100):
            taken.append(i)
            yield i

    results = in_order(lambda i: i, items(), workers=3)
    for done in range(5):
        assert next(results) == done
        assert len(taken) <= done + 4  # one more than there are workers
    results.close()
    assert len(taken) < 12


def test_several_workers_work_at_once() -> None:
    together = threading.Barrier(3, timeout=10)  # breaks unless three wait for each other
    list(in_order(lambda _: together.wait(), range(6), workers=3))


@pytest.mark.parametrize("bad", [0, 7, 19])
def test_a_failure_of_the_work_or_of_the_items_is_the_callers(bad: int) -> None:
    def failing(i: int) -> int:
        if i == bad:
            raise ValueError(f"item {i}")
        return i

    results = in_order(failing, range(20), workers=2)
    assert [next(results) for _ in range(bad)] == list(range(bad))
    with pytest.raises(ValueError, match=f"item {bad}"):
        next(results)

    def items() -> Iterator[int]:
        yield from range(bad)
        raise OSError("no more")

    with pytest.raises(OSError, match="no more"):
        list(in_order(lambda i: i, items(), workers=2))
