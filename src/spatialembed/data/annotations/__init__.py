"""COCO's annotations: what a json says, what becomes of it, and as which pixels."""
