"""What a check looks at: an image with its truth, its values, its mask, and the report."""
