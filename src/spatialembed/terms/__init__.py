"""The terms of the loss, and what they are made of: objects, centers, pairs in reach."""
