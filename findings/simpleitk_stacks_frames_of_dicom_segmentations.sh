#!/usr/bin/env bash
# SimpleITK reads a DICOM segmentation as a stack of whatever frames it has, in voxels of 1 mm, and all objects as 255.
# Guess before: a volume where the image lies, with the spacing that each frame's description has, or an error; or frames one upon the
# other. Seen with SimpleITK 2.5.7, highdicom 0.28.2 and pydicom 3.0.2: of two cells in planes 1, 5 and 6 of 8, in voxels 2.5 x .5 x .7, the file
# has three frames, as it comes, and so SimpleITK's volume has three planes, the gap is gone, spacing is 1 x 1 x 1, so that the second cell
# measures 300 mm3 rather than 210, and both are 255. With omit_empty_frames=False there are 16 planes, those of cell 1 and then of 2, and
# the volume begins at 17.5. highdicom itself reads all in its place. Nothing is said.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet SimpleITK==2.5.7 highdicom==0.28.2 pydicom==3.0.2 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PY'
import sys
import warnings

warnings.simplefilter("ignore")
import highdicom
import numpy as np
import SimpleITK
from highdicom.seg import SegmentAlgorithmTypeValues, Segmentation, SegmentDescription, segread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sr.codedict import codes
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

shared = {name: generate_uid() for name in ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID")}
empty = ("PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "AccessionNumber", "ReferringPhysicianName", "PositionReferenceIndicator")


def plane(number: int) -> Dataset:
    """One plane of 20 x 30 pixels of an image."""
    data, data.file_meta = Dataset(), FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    values = shared | dict.fromkeys(empty, "") | {"PatientID": "a", "PatientName": "a", "StudyID": "1", "Modality": "CT"}
    values |= {"SOPClassUID": CTImageStorage, "SOPInstanceUID": generate_uid(), "InstanceNumber": number + 1, "SeriesNumber": 1}
    values |= {"ImagePositionPatient": [0, 0, 2.5 * number], "ImageOrientationPatient": [1, 0, 0, 0, 1, 0]}
    values |= {"PixelSpacing": [0.5, 0.7], "SliceThickness": 2.5, "Rows": 20, "Columns": 30, "SamplesPerPixel": 1}
    values |= {"BitsAllocated": 16, "BitsStored": 16, "HighBit": 15, "PixelRepresentation": 0, "Manufacturer": "a"}
    values |= {"PhotometricInterpretation": "MONOCHROME2", "PixelData": bytes(1200)}
    for key, value in values.items():
        setattr(data, key, value)
    return data


tissue = codes.cid7150.Tissue
parts = [
    SegmentDescription(number, f"cell {number}", tissue, tissue, SegmentAlgorithmTypeValues.MANUAL) for number in (1, 2)
]
cells = np.zeros((8, 20, 30), np.uint8)
cells[1, 2:8, 2:8], cells[5:7, 10:20, 10:25] = 1, 2
seen = {}
for omit in (True, False):
    planes = [plane(number) for number in range(8)]
    uids = {"series_instance_uid": generate_uid(), "sop_instance_uid": generate_uid()}
    numbers = {"series_number": 2, "instance_number": 1, "device_serial_number": "1", "software_versions": "1"}
    makers = {"manufacturer": "a", "manufacturer_model_name": "a"}
    kind = highdicom.seg.SegmentationTypeValues.BINARY
    Segmentation(planes, cells, kind, parts, omit_empty_frames=omit, **uids, **numbers, **makers).save_as("cells.dcm")
    own = segread("cells.dcm").get_volume(combine_segments=True)
    image = SimpleITK.ReadImage("cells.dcm")
    array = SimpleITK.GetArrayFromImage(image)
    full = np.flatnonzero(array.any((1, 2))).tolist()
    seen[omit] = array.shape, image.GetSpacing(), image.GetOrigin()[2], np.unique(array).tolist(), full
    print("omit_empty_frames", omit, "SimpleITK:", *seen[omit])
    print("highdicom:", own.shape, own.spacing, np.unique(own.array))
expected = {
    True: ((3, 20, 30), (1.0, 1.0, 1.0), 2.5, [0, 255], [0, 1, 2]),
    False: ((16, 20, 30), (1.0, 1.0, 1.0), 17.5, [0, 255], [6, 9, 10]),
}
print("as seen before" if seen == expected else f"changed: {seen}")
sys.exit(seen != expected)
PY
