"""The whole loss as kernels of Triton, for cards: forward and backward in some fifty operations.

Written in operations of torch a loss starts hundreds, and a card waits for the host to do so.

- *objects*: the objects of a batch, their centers, bandwidths and how far they reach;
- *cells*: pixels by cell, and the tiles of them that each object reaches;
- *pairs*: pairs within reach, in the order of their errors, and what they pass back;
- *pixels*: the seed term, the sum of all terms, and the gradient of the raw output;
- *whole*: all of it, one after the other.

The steps are those of terms/instance.py and of the other files beside it, which are the same in
operations of torch. Triton comes with torch for CUDA. Sums over positions are added up in the order
in which threads come, so that last bits change from run to run: torch's deterministic mode has the
operations instead.
"""
