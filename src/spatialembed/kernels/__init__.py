"""Loops over pixels, compiled by numba, which stands here alone; see compiling.py."""
