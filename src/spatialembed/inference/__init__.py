"""A trained model at work: on one image, on folders of them, and scored against truth.

predictor.py holds :class:`Model`, the one way from an image to instances, which training's
validation uses too; sight.py is its way to the raw output, cuda_network.py that of a GPU.
loading.py makes one from a name or a file; evaluate.py scores it on a data set; image_files.py
finds files, folder.py predicts them, overlap.py reads and writes beside it, summary.py says what
became of them.
"""
