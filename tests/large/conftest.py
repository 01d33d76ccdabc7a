"""A worker that is there already, where neither its start nor its death is what is tested."""

from collections.abc import Iterator

import pytest

from spatialembed.large import Workers


@pytest.fixture(scope="module")
def there() -> Iterator[Workers]:
    """A process of dask's that all tests of a file have do their work."""
    cluster = pytest.importorskip("distributed").LocalCluster
    with cluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as one:
        yield Workers(scheduler=one.scheduler_address)
