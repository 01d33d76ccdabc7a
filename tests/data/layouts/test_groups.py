"""Which group an image is of, by a table or by its name, and which groups are held out."""

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spatialembed.data.layouts.groups import grouped, held_groups
from spatialembed.data.layouts.splits import ranked
from spatialembed.errors import UserError

NAMES = ["a_1", "a_2", "b_1", "c"]


def table(tmp_path, text: str, encoding: str = "utf-8") -> str:
    path = tmp_path / "groups.csv"
    path.write_bytes(text.encode(encoding))
    return str(path)


@pytest.mark.parametrize(
    "text",
    [
        "image,picture\na_1,A\na_2,A\nb_1,B\nc,C\n",
        "split,image,picture\ntrain,a_1,A\ntest,a_1,Z\ntrain,a_2,A\ntrain,b_1,B\ntrain,c,C\n",
        "patient;dose;name\r\nA;1;a_1.tif\r\nA;1;a_2.ome.tif\r\nB;2;b_1.PNG\r\nC;3;c.png\r\n",
        "what\tof\n a_1 \tA\nimages/a_2.png\tA\n\nd\\b_1.png\tB\nc_leftImg8bit.png\tC",
        '"image","group"\n"a_1","A"\n"a_2","A"\n"b_1","B"\n"c_img.png","C"\n',
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_a_table_names_the_group_of_every_image(tmp_path, text, encoding):
    groups, told = grouped(NAMES, table(tmp_path, text, encoding))
    assert groups == {"a_1": "A", "a_2": "A", "b_1": "B", "c": "C"}
    assert told == []
    assert grouped(NAMES, Path(table(tmp_path, text, encoding)))[0] == groups


def test_files_in_folders_of_a_json_are_told_apart(tmp_path):
    rows = "image,group\nx/1.png,X\ny/1.png,Y\n"
    assert grouped(["x_1", "y_1"], table(tmp_path, rows))[0] == {"x_1": "X", "y_1": "Y"}


def test_rows_of_no_image_are_a_warning(tmp_path):
    rows = "image,group\na_1,A\na_2,A\nb_1,B\nc,C\nd,D\ne.tif,E\n"
    (told,) = grouped(NAMES, table(tmp_path, rows))[1]
    assert told.warning
    assert "names 2 images that are no training images, as d" in str(told)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("image,group\na_1,A\nb_1,B\n", r"no group of the image a_2 and of 1 more training images"),
        ("image,group\na_1,A\na_2,A\nb_1,B\nc,\n", "no group in line 5, of the image c; add it"),
        ("image,group\na_1,A\na_1.png,B\n", r"two groups of the image a_1.png, A and B \(line 3\)"),
        ("a_1,A\na_2,A\nb_1,B\nc,C\n", "begins with an image; put a header above"),
        ("image,group\na_1\n", "fewer columns in line 2 than in its header"),
        ("image\na_1\n", "fewer than two columns"),
        ("", "fewer than two columns"),
        ("of,image\nA,a_1\n", "does not say which column is the group"),
        ("image,group\na_1,\xe9\n", "is no csv in UTF-8"),
    ],
)
def test_tables_that_say_too_little_are_refused(tmp_path, text, told):
    with pytest.raises(UserError, match=told):
        grouped(NAMES, table(tmp_path, text, "latin-1"))


def test_a_table_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"groups\.csv cannot be read \(No such file"):
        grouped(NAMES, str(tmp_path / "groups.csv"))


def test_a_pattern_takes_the_group_from_the_name():
    assert grouped(NAMES, "^([a-z])")[0] == {"a_1": "a", "a_2": "a", "b_1": "b", "c": "c"}


@pytest.mark.parametrize(
    ("pattern", "told"),
    [
        ("^(.*)_", r"\^\(\.\*\)_ names no group of the image c; every name must match"),
        (r"(\d)", r"no group of the image c; every name must match"),
        ("(", r"'\(' is neither a \.csv nor a regular expression"),
        ("groups.txt", "has no parentheses to say which part of an image's name is its group"),
    ],
)
def test_patterns_that_say_too_little_are_refused(pattern, told):
    with pytest.raises(UserError, match=told):
        grouped(NAMES, pattern)


def test_groups_are_held_out_in_the_order_of_their_digests():
    groups = {f"{group}{i}": group for group in "abcdefghij" for i in range(10)}
    assert held_groups(groups, 0.3) == set(ranked("abcdefghij")[:3])


def test_a_group_too_large_for_the_share_is_passed_over():
    large, *small = ranked("abcdefghij")
    groups = {f"{large}{i}": large for i in range(50)} | {name: name for name in small}
    assert held_groups(groups, 0.1) == set(small[:6])


def test_one_group_cannot_be_held_out():
    with pytest.raises(UserError, match="of one group, 'a': none can be held out as a whole"):
        held_groups({"1": "a", "2": "a"}, 0.2)


@given(
    st.dictionaries(st.text(min_size=1), st.sampled_from("abcdefgh"), min_size=2),
    st.floats(0.01, 0.99),
)
def test_some_groups_are_held_out_and_never_all(groups, holdout):
    counts = Counter(groups.values())
    if len(counts) < 2:
        return
    held = held_groups(groups, holdout)
    assert 0 < len(held) < len(counts)
    assert held == held_groups(dict(reversed(groups.items())), holdout)
    # No further group brings the share nearer.
    count, aim = sum(counts[group] for group in held), holdout * len(groups)
    if len(held) < len(counts) - 1:
        rest = counts.keys() - held
        assert all(abs(count + counts[group] - aim) >= abs(count - aim) for group in rest)
