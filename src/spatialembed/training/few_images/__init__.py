"""Learns from few images, or volumes, without losing what a model knows already.

1. The images are parted in two (folds.py). From each part the start is trained by the same careful
   schedule (careful.py, tuning.py), and judged on the other.
2. Judged are mixtures of the start's weights and the trained ones (mixture.py), after each stage,
   by what they find, object by object (judging.py, evidence.py). Of those that are about as good
   as the best, the nearest to the start is chosen; the start itself, unless another is better
   beyond chance (choice.py).
3. What was learned from either part is averaged (Wortsman et al., *Model soups*, ICML 2022), and
   mixed with the start as was chosen.

Both trainings are equally long (budget.py). Where the data has validation images they judge, and
one training is enough. Where the start finds next to nothing in the images there is nothing to
keep: one part judges, and all time goes into one training (ways.py).
"""
