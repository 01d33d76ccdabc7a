"""The plug-in for napari: instances of the open image, and training from what is painted."""
