"""Files that hold several images: the one at full resolution is read, or the one asked for."""

from functools import partial

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from spatialembed.data import check_data
from spatialembed.data.images.reading import (
    further_images,
    image_size,
    open_windowed,
    read_image,
    read_mask,
)
from spatialembed.data.images.series import Held, take
from spatialembed.errors import UserError

RNG = np.random.default_rng(9)
STACK = RNG.integers(0, 65536, (3, 40, 64), dtype=np.uint16)
FULL = STACK[0]
OTHER = RNG.integers(0, 65536, (50, 30), dtype=np.uint16)
GREY = {"photometric": "minisblack"}
NAKED = {"metadata": None, **GREY}


def pages(path, arrays, each=({},), **file):
    with tifffile.TiffWriter(path, **file) as writer:
        for i, array in enumerate(arrays):
            writer.write(array, **(GREY | each[min(i, len(each) - 1)]))


def named(axes, *names):
    return [{"metadata": {"axes": axes, "Name": name}} for name in names]


PLAIN = {
    "one array": lambda path: tifffile.imwrite(path, STACK, **GREY),
    "no metadata": lambda path: tifffile.imwrite(path, STACK, **NAKED),
    "compressed": lambda path: tifffile.imwrite(path, STACK, compression="lzw", **NAKED),
    "page by page": lambda path: pages(path, STACK),
    "contiguous": lambda path: pages(path, STACK, [{"contiguous": True}]),
    "Pillow": lambda path: Image.fromarray(STACK[0]).save(
        path, save_all=True, append_images=[Image.fromarray(page) for page in STACK[1:]]
    ),
}


@pytest.mark.parametrize("kind", PLAIN)
def test_a_plain_stack_is_no_channels_but_its_planes_can_be_asked_for(tmp_path, kind):
    path = tmp_path / "x.tif"
    PLAIN[kind](path)
    for read in (read_image, read_mask, image_size, open_windowed):
        with pytest.raises(UserError, match=r"x\.tif is a stack of 3 planes of 64x40 .*--series"):
            read(path)
    for number, plane in enumerate(STACK):
        np.testing.assert_array_equal(read_image(path, number)[..., 0], plane)
        window = open_windowed(path, series=number)
        if window is not None:
            part = window.read(slice(3, 9), slice(20, 33))
            np.testing.assert_array_equal(part[..., 0], plane[3:9, 20:33])
    with pytest.raises(UserError, match=r"x\.tif has no series 3: it holds 3 images"):
        read_image(path, 3)


CHANNELS = {
    "ImageJ hyperstack": {"imagej": True, "metadata": {"axes": "CYX"}},
    "OME": {"ome": True, "metadata": {"axes": "CYX"}},
    "tifffile": {"metadata": {"axes": "CYX"}, **GREY},
    "planes": {"planarconfig": "separate", **GREY},
}


@pytest.mark.parametrize("kind", CHANNELS)
def test_channels_that_a_file_names_are_channels(tmp_path, kind):
    for count in (2, 3):
        tifffile.imwrite(tmp_path / "x.tif", STACK[:count], **CHANNELS[kind])
        np.testing.assert_array_equal(
            read_image(tmp_path / "x.tif"), np.moveaxis(STACK[:count], 0, 2)
        )
        assert further_images(tmp_path / "x.tif") is None


@pytest.mark.parametrize("axes", ["ZYX", "TYX"])
@pytest.mark.parametrize("options", [{"imagej": True}, {"ome": True}, {}])
def test_depth_and_time_are_refused_as_a_stack(tmp_path, axes, options):
    tifffile.imwrite(tmp_path / "x.tif", STACK, metadata={"axes": axes}, **options)
    what = {"Z": "a stack of .*predict it with --stitch", "T": "of several times: .*masks alike"}
    with pytest.raises(UserError, match=rf"x\.tif is {what[axes[0]]}"):
        read_image(tmp_path / "x.tif")


def test_channels_of_colors_are_refused(tmp_path):
    array = RNG.integers(0, 256, (2, 40, 64, 3), dtype=np.uint8)
    tifffile.imwrite(
        tmp_path / "x.tif", array, ome=True, photometric="rgb", metadata={"axes": "CYXS"}
    )
    with pytest.raises(UserError, match=r"axes CYXS"):
        read_image(tmp_path / "x.tif")


SCENES = {
    "OME": lambda path: pages(path, STACK, named("YX", "one", "two", "three"), ome=True),
    "sizes": lambda path: pages(path, [FULL, OTHER]),
    "sizes, no metadata": lambda path: pages(path, [OTHER, FULL], [{"metadata": None}]),
    "OME with channels": lambda path: pages(path, [STACK, STACK], named("CYX", "a", "b"), ome=True),
}


@pytest.mark.parametrize("kind", SCENES)
def test_several_images_are_named_and_one_can_be_asked_for(tmp_path, kind):
    path = tmp_path / "x.ome.tif"
    SCENES[kind](path)
    for read in (read_image, read_mask):
        with pytest.raises(UserError, match=r"holds . images \(series 0 .*, series 1 .*--series N"):
            read(path)
    sizes = {"sizes": [FULL, OTHER], "sizes, no metadata": [OTHER, FULL], "OME": STACK}
    for number, plane in enumerate(sizes.get(kind, [])):
        np.testing.assert_array_equal(read_image(path, number)[..., 0], plane)
        assert image_size(path, number) == plane.shape
    if kind == "OME with channels":
        np.testing.assert_array_equal(read_image(path, 1), np.moveaxis(STACK, 0, 2))


def pyramid(path, ome=False, **options):
    with tifffile.TiffWriter(path, ome=ome) as file:
        file.write(FULL, subifds=2, tile=(16, 16), **options)
        for step in (2, 4):
            file.write(FULL[::step, ::step], subfiletype=1, tile=(16, 16), **options)


small = FULL[::4, ::4].copy()
COPIES = {
    "thumbnail first": (lambda path: pages(path, [small, FULL]), "series 0 16x10"),
    "flagged": (
        lambda path: pages(path, [OTHER[:20, :20], FULL], [{"subfiletype": 1, **NAKED}, NAKED]),
        "series 0 20x20",
    ),
    "no metadata": (lambda path: pages(path, [small, FULL], [NAKED]), "series 0 16x10"),
    "smaller pages": (lambda path: pages(path, [FULL, FULL[::2, ::2]], [NAKED]), "32x20"),
    "full in a lower directory": (
        lambda path: pages(path, [small, FULL], [{"subifds": 1, **NAKED}, NAKED]),
        "series 0 16x10",
    ),
    "pyramid": (pyramid, None),
    "pyramid, OME": (partial(pyramid, ome=True), None),
    "pyramid, no metadata": (partial(pyramid, metadata=None), None),
    "slide": (
        lambda path: pages(
            path,
            [FULL, OTHER[:20, :20]],
            named("YX", "scan", "label image"),
            ome=True,
        ),
        "series 1 label image 20x20",
    ),
}


@pytest.mark.parametrize("kind", COPIES)
def test_the_full_resolution_is_read_and_the_rest_is_named(tmp_path, kind):
    path = tmp_path / "x.tif"
    write, told = COPIES[kind]
    write(path)
    np.testing.assert_array_equal(read_image(path)[..., 0], FULL)
    np.testing.assert_array_equal(read_mask(path), FULL)
    assert image_size(path) == FULL.shape
    window = open_windowed(path)
    if window is not None:
        np.testing.assert_array_equal(window.whole()[..., 0], FULL)
    further = further_images(path)
    assert (further is None) == (told is None), further
    assert told is None or told in further


def ome_set(folder, compression, planes=1):
    """Three positions in a file each, whose OME-XML names all of them, as Bio-Formats writes it."""
    names = [f"p{k}.ome.tif" for k in range(3)]
    image = (
        '<Image ID="Image:{k}"><Pixels ID="Pixels:{k}" DimensionOrder="XYCZT" Type="uint16" '
        'SizeX="64" SizeY="40" SizeC="{planes}" SizeZ="1" SizeT="1">{channels}{data}'
        "</Pixels></Image>"
    )
    data = '<TiffData IFD="{c}" FirstC="{c}" FirstZ="0" FirstT="0" PlaneCount="1">'
    data += '<UUID FileName="{name}">urn:uuid:{k}</UUID></TiffData>'
    images = "".join(
        image.format(
            k=k,
            planes=planes,
            channels="".join(
                f'<Channel ID="Channel:{k}:{c}" SamplesPerPixel="1"/>' for c in range(planes)
            ),
            data="".join(data.format(c=c, name=name, k=k) for c in range(planes)),
        )
        for k, name in enumerate(names)
    )
    for k, name in enumerate(names):
        root = (
            f'<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="urn:uuid:{k}">'
        )
        with tifffile.TiffWriter(folder / name) as file:
            for c in range(planes):
                about = f"<?xml version='1.0'?>{root}{images}</OME>" if c == 0 else None
                page = np.roll(STACK[k], c, 0)
                options = {"compression": compression, "rowsperstrip": 10, **NAKED}
                file.write(page, description=about, **options)
    return [folder / name for name in names]


@pytest.mark.parametrize("compression", [None, "zlib", "lzw"])
@pytest.mark.parametrize("planes", [1, 2])
def test_a_file_of_a_set_gives_its_own_pixels(tmp_path, compression, planes):
    files = ome_set(tmp_path, compression, planes)
    expected = [
        np.stack([np.roll(STACK[k], c, 0) for c in range(planes)], axis=2) for k in range(3)
    ]
    for file, array in zip(files, expected, strict=True):
        np.testing.assert_array_equal(read_image(file), array)
        np.testing.assert_array_equal(open_windowed(file).whole(), array)
    files[0].unlink()
    for file, array in zip(files[1:], expected[1:], strict=True):
        np.testing.assert_array_equal(read_image(file), array)


def test_a_plane_that_is_missing_is_no_plane_of_zeros(tmp_path):
    path = tmp_path / "x.ome.tif"
    tifffile.imwrite(path, STACK[:2], ome=True, metadata={"axes": "CYX"}, compression="zlib")
    about = tifffile.tiffcomment(path)
    tifffile.tiffcomment(path, about.replace('SizeC="2"', 'SizeC="3"').encode())
    with pytest.raises(UserError, match=r"x\.ome\.tif lacks planes"):
        read_image(path)


def test_frames_of_pictures(tmp_path):
    frames = [Image.fromarray((plane >> 8).astype(np.uint8)) for plane in STACK]
    for name in ("x.png", "x.webp"):
        frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:], lossless=True)
        with pytest.raises(UserError, match="holds 3 images"):
            read_image(tmp_path / name)
        second = read_image(tmp_path / name, 1)
        np.testing.assert_array_equal(second[..., 0], STACK[1] >> 8)
    small = frames[0].resize((32, 20))
    frames[0].save(tmp_path / "x.jpg", format="MPO", save_all=True, append_images=[small])
    assert read_image(tmp_path / "x.jpg").shape == (40, 64, 1)
    assert "series 1 32x20" in further_images(tmp_path / "x.jpg")


def test_check_names_what_is_left_out(tmp_path):
    for folder in ("images", "masks"):
        (tmp_path / "train" / folder).mkdir(parents=True)
    for name in "ab":
        pages(tmp_path / f"train/images/{name}.tif", [FULL[::4, ::4].copy(), FULL])
        tifffile.imwrite(tmp_path / f"train/masks/{name}.tif", (FULL > 9).astype(np.uint8))
    told = [text for p in check_data(tmp_path).warnings if "further" in (text := str(p))]
    assert len(told) == 2
    assert "a.tif: holds further images, which are left out: series 0 16x10" in told[0]
    pages(tmp_path / "train/masks/a.tif", STACK > 9)
    assert "is a stack of 3 planes" in str(check_data(tmp_path).errors[0])


sizes = st.integers(1, 300)


@given(st.lists(st.tuples(sizes, sizes), min_size=1, max_size=6))
def test_one_is_taken_only_if_all_others_are_copies_of_it(shapes):
    held = [Held(*shape) for shape in shapes]
    try:
        taken = take("x", held, None)
    except UserError:
        largest = max(held, key=lambda one: one.height * one.width)
        assert sum(not one.copies(largest) for one in held) > 1
    else:
        assert all(one.copies(held[taken]) for i, one in enumerate(held) if i != taken)
