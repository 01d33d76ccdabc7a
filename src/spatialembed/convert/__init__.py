"""Annotation tools, both ways: what they write becomes what training reads, and back.

One file a format: ``recognize`` and ``read`` give pictures, ``write`` puts them down for its tool.
"""

from typing import Literal

Tool = Literal["training", "labelme", "cvat", "label_studio", "ultralytics", "cellpose", "coco"]
"""What is written for."""
