"""Crops for training: drawn around objects, varied, cut, or stored."""
