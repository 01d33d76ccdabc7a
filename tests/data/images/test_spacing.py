"""The spacing of voxels is what a file states with a unit, or nothing."""

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st

from spatialembed.data.images.reading import stack_spacing
from spatialembed.data.images.spacing import stated, unlike
from spatialembed.errors import UserError

STACK = np.random.default_rng(0).integers(0, 60_000, (5, 20, 31), dtype=np.uint16)


def imagej(path, resolution=(1 / 0.127, 1 / 0.25), replaced=None, **said):
    """A stack by tifffile; what ImageJ writes and tifffile does not is put into its place."""
    tifffile.imwrite(
        path, STACK, imagej=True, resolution=resolution, metadata={"axes": "ZYX"} | said
    )
    if replaced:
        content = path.read_bytes()
        assert content.count(replaced[0]) == 1
        assert len(replaced[0]) == len(replaced[1])
        path.write_bytes(content.replace(*replaced))
    return stack_spacing(path)


@pytest.mark.parametrize(
    ("unit", "micrometres"),
    [
        ("micron", 1),
        ("um", 1),
        (r"\u00B5m", 1),
        ("nm", 0.001),
        ("mm", 1000),
        ("cm", 10_000),
        ("Microns", 1),
        ("Micrometer", 1),
        ("nanometers", 0.001),
        ("MILLIMETRES", 1000),
    ],
)
def test_imagej(tmp_path, unit, micrometres):
    # pixels a unit along x and y, units along z
    found = imagej(tmp_path / "x.tif", spacing=0.5, unit=unit)
    if micrometres * 0.127 > 1e5 or micrometres * 0.127 < 1e-4:
        assert found is None
    else:
        assert found == pytest.approx([0.5 * micrometres, 0.25 * micrometres, 0.127 * micrometres])


@pytest.mark.parametrize("micro", [b"\xb5m", b"\xb5m\n"])
def test_imagej_of_a_unit_in_latin_letters(tmp_path, micro):
    replaced = b"unit=um" + micro[2:], b"unit=" + micro
    found = imagej(tmp_path / "x.tif", spacing=0.5, unit="um", replaced=replaced)
    assert found == (0.5, 0.25, 0.127)


def test_imagej_leaves_out_a_spacing_of_one(tmp_path):
    """tifffile one that it was not told, by the name of an ImageJ that nobody has any more."""
    own = {"ImageJ": "1.54f"}
    assert imagej(tmp_path / "x.tif", unit="um", **own) == (1.0, 0.25, 0.127)
    assert imagej(tmp_path / "x.tif", unit="um", spacing=0.5, **own) == (0.5, 0.25, 0.127)
    assert imagej(tmp_path / "x.tif", **own) is None


def test_imagej_of_several_units(tmp_path):
    found = imagej(tmp_path / "x.tif", spacing=500, unit="um", yunit="nm", zunit="nm")
    assert found is None  # 500, 0.25 nm, 127 nm
    found = imagej(tmp_path / "x.tif", spacing=500, unit="um", zunit="nm")
    assert found == (0.5, 0.25, 0.127)


@pytest.mark.parametrize(
    "said",
    [
        {"spacing": 0.5},
        {"unit": "um"},
        {"spacing": 0.5, "unit": "pixel"},
        {"spacing": 0.5, "unit": "inch"},
        {"spacing": 0.5, "unit": "Mm"},
        {"spacing": 0.5, "unit": "nothing"},
        {"spacing": 0, "unit": "um"},
        {"spacing": -0.5, "unit": "um"},
        {"spacing": "nan", "unit": "um"},
        {"spacing": "x", "unit": "um"},
        {"spacing": 127_000, "unit": "um"},
        {"spacing": 0.5, "unit": "um", "resolution": None},
        {"spacing": 0.5, "unit": "um", "resolution": ((0, 1), (1, 1))},
        {"spacing": 0.5, "unit": "um", "resolution": (1e7, 1e7)},
        {"spacing": 500, "unit": "um"},
    ],
)
def test_what_imagej_does_not_state(tmp_path, said):
    assert imagej(tmp_path / "x.tif", **said) is None


def ome(path, shape=(5, 20, 31), more=(), **said):
    with tifffile.TiffWriter(path, ome=True) as file:
        for one in (said, *more):
            file.write(np.zeros(shape, np.uint8), metadata={"axes": "ZYX", **one})
    return path


SAID = {"PhysicalSizeX": 0.127, "PhysicalSizeY": 0.25, "PhysicalSizeZ": 0.5}


def test_ome(tmp_path):
    assert stack_spacing(ome(tmp_path / "x.tif", **SAID)) == (0.5, 0.25, 0.127)  # µm by default
    units = {"PhysicalSizeXUnit": "nm", "PhysicalSizeYUnit": "µm", "PhysicalSizeZUnit": "mm"}
    sizes = {"PhysicalSizeX": 127, "PhysicalSizeY": 0.25, "PhysicalSizeZ": 5e-4}
    assert stack_spacing(ome(tmp_path / "x.tif", **units, **sizes)) == (0.5, 0.25, 0.127)


@pytest.mark.parametrize(
    "wrong",
    [
        {"PhysicalSizeZ": 0},
        {"PhysicalSizeZ": "NaN"},
        {"PhysicalSizeZ": "INF"},
        {"PhysicalSizeY": -0.25},
        {"PhysicalSizeXUnit": "pixel"},
        {"PhysicalSizeZUnit": "reference frame"},
        {"PhysicalSizeXUnit": "nm"},
    ],
)
def test_what_ome_does_not_state(tmp_path, wrong):
    assert stack_spacing(ome(tmp_path / "x.tif", **SAID | wrong)) is None
    two = {key: value for key, value in SAID.items() if key not in wrong}
    if len(two) == 2:
        assert stack_spacing(ome(tmp_path / "x.tif", **two)) is None


def test_each_ome_image_has_its_own(tmp_path):
    path = ome(tmp_path / "x.tif", **SAID, more=[SAID | {"PhysicalSizeZ": 2}, {}])
    assert [stack_spacing(path, k) for k in range(3)] == [
        (0.5, 0.25, 0.127),
        (2, 0.25, 0.127),
        None,
    ]
    with pytest.raises(UserError, match="holds 3 images"):
        stack_spacing(path)


def test_ome_that_speaks_of_other_files_too(tmp_path):
    """One file of a set: what all images say counts, else nothing."""
    same, other = tmp_path / "same.tif", tmp_path / "other.tif"
    for path, z in ((same, 0.5), (other, 2)):
        with tifffile.TiffWriter(path, ome=True) as file:
            file.write(np.zeros((5, 20, 31), np.uint8), metadata={"axes": "ZYX", **SAID})
        with tifffile.TiffFile(path) as file:
            said = file.ome_metadata
        image = said[said.index("<Image") : said.index("</OME>")]
        place = '<TiffData><UUID FileName="b.tif">urn:uuid:1</UUID></TiffData>'
        start, end = image.index("<TiffData"), image.index("</Pixels>")
        further = (image[:start] + place + image[end:]).replace(
            'PhysicalSizeZ="0.5"', f'PhysicalSizeZ="{z}"'
        )
        both = said.replace("</OME>", further.replace(":0", ":1") + "</OME>").encode()
        tifffile.imwrite(
            path, np.zeros((5, 20, 31), np.uint8), metadata=None, description=both, bigtiff=False
        )
        with tifffile.TiffFile(path) as file:
            assert file.is_ome
    assert stack_spacing(same) == (0.5, 0.25, 0.127)
    assert stack_spacing(other) is None


def test_a_turned_stack_has_its_spacing_turned(tmp_path):
    said = {"axes": "ZYX", **SAID}
    for orientation, found in ((6, (0.5, 0.127, 0.25)), (3, (0.5, 0.25, 0.127))):
        tags = [(274, "H", 1, orientation, True)]
        tifffile.imwrite(tmp_path / "x.tif", STACK, ome=True, metadata=said, extratags=tags)
        assert stack_spacing(tmp_path / "x.tif") == found


def test_other_tiffs_state_nothing(tmp_path):
    said = {"axes": "ZYX", "spacing": 0.5, "unit": "um"}
    tifffile.imwrite(tmp_path / "x.tif", STACK, metadata=said, resolution=(8, 8))
    assert stack_spacing(tmp_path / "x.tif") is None
    tifffile.imwrite(tmp_path / "x.tif", STACK[0], imagej=True)
    with pytest.raises(UserError, match=r"x\.tif is no stack"):
        stack_spacing(tmp_path / "x.tif")


def test_damaged_xml_is_refused(tmp_path):
    path = ome(tmp_path / "x.tif", **SAID)
    path.write_bytes(path.read_bytes().replace(b"<Pixels ", b"<Pixels<"))
    with pytest.raises(UserError, match=r"x\.tif cannot be read .*not well-formed"):
        stack_spacing(path)


ODD = st.one_of(st.none(), st.text(), st.floats(), st.integers(), st.sampled_from(["um", "1e999"]))


@given(st.tuples(ODD, ODD, ODD), st.tuples(ODD, ODD, ODD))
def test_odd_values_state_nothing_or_a_spacing(sizes, units):
    found = stated(sizes, units)
    assert found is None or all(1e-4 <= side <= 1e5 for side in found)


@given(st.tuples(*[st.floats(0.1, 10)] * 3), st.sampled_from([("nm", 1000), ("um", 1)]))
def test_units_are_turned_to_micrometres(sizes, unit):
    name, per = unit
    assert stated(sizes, [name] * 3) == tuple(size / per for size in sizes)


def test_proportions_differ_along_z_and_along_y() -> None:
    assert not unlike((0.4, 0.15, 0.15), (0.8, 0.3, 0.3))
    assert unlike((0.4, 0.15, 0.15), (0.5, 0.15, 0.15))
    assert unlike((0.4, 0.6, 0.15), (0.4, 0.15, 0.15))
