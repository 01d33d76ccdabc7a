"""Annotation tools, both ways: what they write becomes what training reads, and back.

One file a format: ``recognize`` and ``read`` give pictures, ``write`` puts them down for its tool.
They are jsons, texts and an xml, read here, since the libraries that read them all change what they
hold (docs/pages/tools.md says which and how); polygons are drawn by pycocotools, as in training.
"""

from typing import Literal

Tool = Literal["training", "labelme", "cvat", "label_studio", "ultralytics", "cellpose", "coco"]
"""What is written for."""
