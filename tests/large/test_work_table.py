"""The table of what is done."""

import pytest

from spatialembed.errors import UserError
from spatialembed.large.work_table import AT_ONCE, WorkTable


def test_it_goes_on_where_it_stopped(tmp_path) -> None:
    table = WorkTable(tmp_path / "new" / "work.sqlite")
    table.add(["c", "a", "b"])
    assert list(table.waiting()) == ["a", "b", "c"]
    table.done("b", {"found": 3})
    table.close()
    again = WorkTable(tmp_path / "new" / "work.sqlite")
    again.add(["a", "b", "c", "d"])
    assert list(again.waiting()) == ["a", "c", "d"]
    assert dict(again.notes()) == {"b": {"found": 3}}
    assert again.result("b") == ({"found": 3}, None)
    assert list(again.waiting("c", "c")) == ["c"]


def test_work_is_set_aside_and_tried_again_the_next_time(tmp_path) -> None:
    table = WorkTable(tmp_path / "work.sqlite")
    table.add(["good", "bad"])
    table.failed("bad", "reason")
    assert table.failures() == [("bad", "reason")]
    assert list(table.waiting()) == ["good"]
    table.add([])
    assert list(table.waiting()) == ["bad", "good"]
    table.done("bad", {})
    assert table.failures() == []
    table.undo("bad")
    assert list(table.waiting()) == ["bad", "good"]


def test_long_lists_come_page_by_page_while_work_is_done(tmp_path) -> None:
    table = WorkTable(tmp_path / "work.sqlite")
    names = [f"{n:05}" for n in range(2 * AT_ONCE + 7)]
    table.add(names)
    seen = []
    for name in table.waiting():
        seen.append(name)
        table.done(name, {})
    assert seen == names
    assert list(table.waiting()) == []


def test_a_damaged_table_is_named(tmp_path) -> None:
    path = tmp_path / "work.sqlite"
    path.write_bytes(b"this is no table of anything" * 100)
    with pytest.raises(UserError, match=r"work\.sqlite cannot be used .* delete it"):
        WorkTable(path)
