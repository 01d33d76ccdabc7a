"""Ultralytics' nano segmenter at the image's own size, of random weights: time alone.

Its licence, the AGPL, keeps it and what is made with it out of everything else here. What random
weights give is no object, so that its post-processing has nothing to do.
"""

import os

os.environ |= {"YOLO_OFFLINE": "true", "YOLO_AUTOINSTALL": "false"}  # nothing is downloaded

import torch
from turns import Clock, serve, without_operators

without_operators()
import cv2  # noqa: E402  # needs the line above
from ultralytics import YOLO  # noqa: E402  # needs the line above


def loaded():
    """What reads an image and runs the network on it."""
    torch.manual_seed(0)
    model = YOLO("yolo26n-seg.yaml")

    def predict(clock: Clock, image: str, mask: str, out: str) -> None:
        with clock("read"):
            pixels = cv2.imread(image)
        sides = [-(-side // 32) * 32 for side in pixels.shape[:2]]
        (result,) = model.predict(pixels, imgsz=sides, device="cpu", verbose=False)
        clock.seconds["normalise"] += result.speed["preprocess"] / 1e3
        clock.seconds["network"] += result.speed["inference"] / 1e3

    return predict


if __name__ == "__main__":
    serve(loaded)
