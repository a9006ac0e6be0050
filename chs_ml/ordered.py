"""Work on many things at once, with the results in order and few of them in memory."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_order(
    work: Callable[[Item], Result], items: Iterable[Item], *, workers: int | None = None
) -> Iterator[Result]:
    """Apply `work` to every item on several threads; yield the results in the order of the items.

    Items are taken by the calling thread, and at most one more than there are workers is under way: memory
    does not grow with their number. The first failure, of an item or of the work on it, ends everything.

    Parameters
    ----------
    work : callable
        Called from several threads at once; gains where it leaves Python (NumPy, Arrow, LightGBM).
    items : iterable
        What to work on; read lazily.
    workers : int, optional
        Threads; by default one per core.

    Yields
    ------
    What `work` returned, one per item.
    """
    n = workers or os.cpu_count() or 1
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(n, thread_name_prefix="chs-ml") as pool:
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) > n:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
