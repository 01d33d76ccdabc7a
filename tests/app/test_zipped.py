"""OME-Zarr on the page: the zip of its folder, however it was zipped; anything else is refused."""

import shutil
import zipfile

import numpy as np
import pytest
from test_volume_study import SHAPE, SPACING, balls, seeing

from spatialembed.app import zipped
from spatialembed.app.study import study
from spatialembed.errors import UserError

pytest.importorskip("zarr")


@pytest.fixture
def volume(tmp_path):
    import zarr

    axes = [{"name": axis, "type": "space", "unit": "micrometer"} for axis in "zyx"]
    scale = [{"type": "scale", "scale": list(SPACING)}]
    levels = [{"path": "0", "coordinateTransformations": scale}]
    group = zarr.open_group(tmp_path / "deep" / "balls.zarr", mode="w", zarr_format=3)
    group.attrs["ome"] = {"version": "0.5", "multiscales": [{"axes": axes, "datasets": levels}]}
    group.create_array("0", data=balls(), chunks=(7, 22, 28))
    return tmp_path / "deep"


@pytest.mark.parametrize(("name", "root"), [("a.zip", "."), ("a.ozx", "balls.zarr")])
def test_the_zip_of_a_folder_or_of_what_is_in_it(tmp_path, volume, name, root) -> None:
    made = shutil.make_archive(str(tmp_path / "a"), "zip", volume / root)
    path = shutil.move(made, tmp_path / name)
    given = study(seeing(), tmp_path / name)
    assert given.name == "a"
    assert given.image.shape == (*SHAPE, 1)
    assert given.spacing == SPACING
    np.testing.assert_array_equal(given.image[..., 0], balls())
    assert path.exists()


def test_what_is_no_zip_of_one_zarr_is_refused(tmp_path, volume, monkeypatch) -> None:
    (tmp_path / "text.zip").write_text("nothing")
    with zipfile.ZipFile(tmp_path / "planes.zip", "w") as file:
        file.writestr("z1.tif", b"")
    shutil.make_archive(str(tmp_path / "one"), "zip", volume)
    shutil.copytree(volume / "balls.zarr", volume / "again.zarr")
    shutil.make_archive(str(tmp_path / "two"), "zip", volume)
    reasons = {
        "text.zip": r"text\.zip cannot be unpacked",
        "planes.zip": r"planes\.zip holds no zarr; zip one OME-Zarr folder, or give a TIFF",
        "two.zip": r"two\.zip holds several zarrs",
    }
    for name, reason in reasons.items():
        with pytest.raises(UserError, match=reason) as error:
            study(seeing(), tmp_path / name)
        assert str(tmp_path) not in str(error.value)
    monkeypatch.setattr(zipped, "MOST_UNPACKED", 1000)
    with pytest.raises(UserError, match=r"one\.zip holds .* GB, this page takes up to"):
        study(seeing(), tmp_path / "one.zip")


def test_an_image_where_volumes_are_expected_is_refused_by_the_zip_s_name(tmp_path) -> None:
    import zarr

    zarr.save_array(tmp_path / "flat" / "x.zarr", balls()[3], zarr_format=2)
    shutil.make_archive(str(tmp_path / "flat"), "zip", tmp_path / "flat")
    with pytest.raises(UserError, match=r"^flat\.zip does not say what the axes"):
        study(seeing(), tmp_path / "flat.zip")
