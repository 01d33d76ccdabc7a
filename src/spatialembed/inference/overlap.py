"""Files are read before the work on them and written behind it, so that it waits for neither."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from spatialembed.kernels.threads import cores

AHEAD = 8
"""Items that are read before their turn at most, and as many that are written behind."""

ROOM = 2**29
"""Bytes of the items before their turn; of large ones there are fewer."""

Item = TypeVar("Item")
Given = TypeVar("Given")
Made = TypeVar("Made")
Done = TypeVar("Done")


def overlapped(
    items: Iterable[Item],
    read: Callable[[Item], Given],
    work: Callable[[Item, Callable[[], Given]], Made],
    write: Callable[[Item, Made], Done],
    size: Callable[[Made], int],
) -> Iterator[Done]:
    """What becomes of each item, in order, while threads read what comes next and write.

    Whoever stops early waits for the files that are being written, and no other is begun.

    Args:
        items: what there is to do.
        read: makes of an item what the work needs; its errors are the work's.
        work: is done in this thread alone, one item after the other.
        write: what comes last.
        size: bytes that an item held before its turn.
    """
    threads = min(AHEAD, cores())
    source, most, largest = iter(items), 1, 1
    reading: deque[tuple[Item, Future[Given]]] = deque()
    writing: deque[Future[Done]] = deque()
    pool = ThreadPoolExecutor(2 * threads)

    def begin(item: Item) -> Future[Given]:
        return pool.submit(read, item)

    try:
        while _fill(reading, source, most, begin):
            item, given = reading.popleft()
            _fill(reading, source, most, begin)
            made = work(item, given.result)
            writing.append(pool.submit(write, item, made))
            largest = max(largest, size(made))
            most = min(threads, max(1, ROOM // largest))
            del given, made
            while writing and (len(writing) > most or writing[0].done()):
                yield writing.popleft().result()
        while writing:
            yield writing.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _fill(
    reading: deque[tuple[Item, Future[Given]]],
    source: Iterator[Item],
    most: int,
    begin: Callable[[Item], Future[Given]],
) -> bool:
    """Begin with further items up to so many; whether there is any."""
    while len(reading) < most:
        try:
            item = next(source)
        except StopIteration:
            break
        reading.append((item, begin(item)))
    return bool(reading)
