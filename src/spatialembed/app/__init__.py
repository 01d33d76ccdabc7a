"""The web page of ``spatialembed serve``: an image in, its instances and their reasons out."""
