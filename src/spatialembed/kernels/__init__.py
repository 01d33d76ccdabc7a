"""Loops over pixels, compiled by numba, which stands here alone, and what prepares their arrays.

compiling.py makes and keeps them. A file that has the name of one of terms/ is its compiled form.
"""
