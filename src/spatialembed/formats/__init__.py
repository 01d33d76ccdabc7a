"""What results are written as: label images, Cityscapes, COCO, outlines, measurements."""
