"""Scores of found instances against the truth, by the conventions people publish with.

``matching`` pairs found objects with true ones; ``average_precision`` scores the pairs as StarDist
and EmbedSeg do; ``cityscapes_ap`` and ``coco_ap`` call the official tools.
"""
