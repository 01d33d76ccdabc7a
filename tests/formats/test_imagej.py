"""ImageJ's own reader opens the ROIs, and finds each on the pixels of its object.

It runs where Java and ImageJ are, as after `apt-get install libij-java default-jdk-headless`.
"""

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from spatialembed.formats.outlines import write_imagej_rois
from spatialembed.instances import Instances

JAR = Path(os.environ.get("IJ_JAR", "/usr/share/java/ij.jar"))

# As the ROI Manager opens a zip: each entry through RoiDecoder, then the pixels that it contains.
OPEN = """
import ij.gui.Roi;
import ij.io.RoiDecoder;
import java.io.FileInputStream;
import java.util.zip.ZipInputStream;

public class Open {
    public static void main(String[] names) throws Exception {
        try (var zip = new ZipInputStream(new FileInputStream(names[0]))) {
            for (var entry = zip.getNextEntry(); entry != null; entry = zip.getNextEntry()) {
                Roi roi = new RoiDecoder(zip.readAllBytes(), entry.getName()).getRoi();
                for (var point : roi.getContainedPoints())
                    System.out.println(roi.getName() + " " + point.x + " " + point.y);
            }
        }
    }
}
"""


@pytest.mark.skipif(
    not (JAR.is_file() and shutil.which("javac")),
    reason=f"needs javac and ImageJ at {JAR}, or where IJ_JAR says",
)
def test_imagej_finds_rois_on_the_pixels_of_their_objects(tmp_path) -> None:
    pytest.importorskip("skimage")
    y, x = np.indices((60, 80))
    label_map = np.zeros((60, 80), np.int32)
    label_map[np.hypot(y - 20, x - 25) < 12] = 1
    label_map[30:50, 40:60] = 2
    label_map[50:58, 45:70] = 3  # touches it
    label_map[5, 70] = 4
    label_map[8:12, 60:66] = label_map[14:20, 70:75] = 5  # in two parts
    write_imagej_rois(tmp_path / "rois.zip", Instances.from_label_map(label_map))
    (tmp_path / "Open.java").write_text(OPEN)
    way = ["-cp", os.pathsep.join([str(JAR), str(tmp_path)])]
    subprocess.run(["javac", *way, str(tmp_path / "Open.java")], check=True)
    java = ["java", "-Djava.awt.headless=true", *way, "Open", str(tmp_path / "rois.zip")]
    said = subprocess.run(java, check=True, capture_output=True, text=True).stdout
    opened = np.zeros_like(label_map)
    for line in said.splitlines():
        name, column, row = line.split()
        assert opened[int(row), int(column)] == 0
        opened[int(row), int(column)] = int(name.partition("-")[0])
    np.testing.assert_array_equal(opened, label_map)
