"""A trained model at work: on one image, on folders of them, and scored against truth.

predictor.py holds :class:`Model`, the one way from an image to instances, which training's
validation uses too; loading.py makes one from a name or a file; evaluate.py scores it on a data
set; folder.py runs it over files.
"""
