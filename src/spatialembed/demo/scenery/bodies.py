"""Measures and paints of the generated scenes' vehicles."""

from __future__ import annotations

from dataclasses import dataclass

from spatialembed.demo.scenery.label_ids import BUS, CAR, TRUCK


@dataclass(frozen=True)
class Body:
    """Measures of a vehicle: metres, or shares of its length (rear -0.5, front 0.5) and height.

    Attributes:
        top: top line of the lower part, (share of length, share of height) from rear to front.
        base, roof: rear and front of the glass house and of the roof, in shares of the length.
        panes: pillars between the side windows, as shares of the glass house.
        wheel: radius of the wheels in metres.
        cabin: width of the roof as a share of the vehicle's.
        cargo: a closed box instead of lower part and glass house.
    """

    label: int
    length: float
    width: float
    height: float
    top: tuple[tuple[float, float], ...]
    base: tuple[float, float]
    roof: tuple[float, float]
    panes: tuple[float, ...] = (0.0, 0.46, 1.0)
    wheel: float = 0.32
    axles: tuple[float, ...] = (-0.29, 0.31)
    cabin: float = 0.8
    cargo: bool = False

    @property
    def clearance(self) -> float:
        """Height of the body above the road."""
        return 0.19 if self.height < 2.5 else 0.32


_LOW = ((-0.5, 0.52), (-0.47, 0.64), (-0.25, 0.66), (0.2, 0.64), (0.42, 0.55), (0.5, 0.44))
_TALL = ((-0.5, 0.5), (-0.48, 0.56), (0.0, 0.57), (0.28, 0.56), (0.44, 0.5), (0.5, 0.4))
_BOX = ((-0.5, 0.36), (0.0, 0.36), (0.5, 0.36))

BODIES: dict[str, Body] = {
    "hatchback": Body(CAR, 4.0, 1.76, 1.48, _LOW, (-0.47, 0.25), (-0.38, 0.03)),
    "sedan": Body(CAR, 4.6, 1.82, 1.44, _LOW, (-0.37, 0.2), (-0.2, 0.02), (0.0, 0.4, 0.8, 1.0)),
    "estate": Body(CAR, 4.6, 1.82, 1.48, _LOW, (-0.48, 0.2), (-0.41, 0.02), (0.0, 0.28, 0.6, 1.0)),
    "suv": Body(CAR, 4.5, 1.9, 1.7, _TALL, (-0.48, 0.23), (-0.42, 0.06), wheel=0.37, cabin=0.82),
    "van": Body(CAR, 4.8, 1.9, 1.9, _TALL, (-0.49, 0.36), (-0.46, 0.18), (0, 0.35, 0.7, 1),
                cabin=0.85),
    "bus": Body(BUS, 11.0, 2.5, 3.1, _BOX, (-0.498, 0.498), (-0.493, 0.485),
                (0.0, 0.15, 0.3, 0.45, 0.6, 0.75, 0.9, 1.0), 0.48, (-0.25, 0.33), 0.96),
    "truck": Body(TRUCK, 2.3, 2.4, 2.8, _BOX, (-0.49, 0.49), (-0.48, 0.4), (0.0, 0.4, 1.0),
                  0.46, (0.1,), 0.94),
    "cargo": Body(TRUCK, 6.0, 2.5, 3.5, _BOX, (0, 0), (0, 0), wheel=0.48, axles=(-0.3, 0.25),
                  cargo=True),
}  # fmt: skip

PAINTS = [
    (232, 232, 230), (232, 232, 230), (190, 194, 198), (176, 180, 184), (120, 124, 130),
    (72, 76, 82), (38, 40, 44), (30, 32, 36), (40, 66, 118), (58, 100, 160), (150, 30, 34),
    (178, 44, 38), (36, 74, 60), (196, 176, 140), (206, 134, 40), (104, 52, 44), (222, 190, 66),
]  # fmt: skip
"""Colors of vehicles, common ones more than once."""
