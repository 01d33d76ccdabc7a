"""A model of several targets, such as nuclei and their cells, as models of one each."""

from __future__ import annotations

from copy import copy
from typing import Self

from spatialembed.errors import UserError
from spatialembed.inference.explaining import Explaining


class OfTargets(Explaining):
    """The part of a :class:`Model` that tells its targets apart."""

    def each(self) -> list[Self]:
        """Of each of several targets a model that finds it alone; else this one."""
        if not self.spec.targets:
            return [self]
        models = []
        for k, spec in enumerate(self.spec.each()):
            one = copy(self)
            one.spec, one.target, one.smallest = spec, k, self.spec.largest_first[-1]
            models.append(one)
        return models

    def of(self, target: str) -> Self:
        """The model that finds one of several targets alone.

        Raises:
            UserError: it has no target of this name.
        """
        if not self.spec.targets:
            alone = " and ".join(self.spec.class_names)
            raise UserError(f"{self.name} finds {alone} alone; use it as it is, without of()")
        known = {model.spec.class_names[0]: model for model in self.each()}
        if target not in known:
            raise UserError(f"{self.name} has no target {target!r}; it has {', '.join(known)}")
        return known[target]

    def require_one(self) -> None:
        """Refuse a model of several targets for what takes one alone.

        Raises:
            UserError: it has several.
        """
        if self.spec.targets:
            names = self.spec.class_names
            raise UserError(
                f"{self.name} finds {' and '.join(names)}, each by itself: take "
                f"predict_targets(image), or of({names[0]!r}) for one of them"
            )
