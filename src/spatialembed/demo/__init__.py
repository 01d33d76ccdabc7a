"""The demo: generated street scenes, and all steps on them."""
