"""Past one image in memory and one process: images and volumes of any size, files without number.

Both are pieces of work that dask's workers do and a table remembers:

- mosaic.py: which part of a large image each tile sees, and which is its own.
- segment.py: a tile's objects, cut out with all of what lies around them.
- seams.py: objects that two tiles claim, and who gets them.
- labels.py: the pixels of all that is left, with one id each, as OME-Zarr.
- image.py: these in their order, which is what ``predict MODEL big.zarr --out labels.zarr`` does.
- many_files.py: a folder's images, a piece of work each.
- work_table.py, workers.py, worker_model.py: the table of what is done, the processes that do it,
  and where they take the model from.
"""

from spatialembed.large.image import predict_large
from spatialembed.large.many_files import predict_many
from spatialembed.large.mosaic import Mosaic
from spatialembed.large.worker_model import ModelSource
from spatialembed.large.workers import Workers

__all__ = ["ModelSource", "Mosaic", "Workers", "predict_large", "predict_many"]
