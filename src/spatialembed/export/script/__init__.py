"""Prediction in what TorchScript knows of Python: torch alone, no numpy and no numba.

Files of ``export/torchscript.py`` hold these functions. What they compute is what the rest of the
library does, operation by operation, and tests compare: normalizing.py what models/normalization.py
does, resizing.py what inference/resizing.py does, clustering.py and refining.py what the files of
these names at the top do. Their own annotations are read by TorchScript, which knows few types.
"""
