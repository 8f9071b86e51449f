"""Heat and light of an hour: what a thermal camera measures of each material, and how much light there is to see by.

Source: radiance as emitted plus reflected, linear in the temperature, and the daily course of surface temperatures, as
in textbooks of thermography; the numbers are of the size that field measurements report, and chosen by hand.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

SKIN = 34.0  # degrees Celsius
HOT = 45.0  # an engine, a brake or a lamp above the air, K
CONDITIONS = ("day", "dusk", "night", "smoke")
HOURS = {"day": (8.0, 17.0), "dusk": (17.3, 19.0), "night": (20.0, 29.0), "smoke": (7.0, 20.0)}


class Material(NamedTuple):
    """How the surface temperature of a material follows the day.

    Attributes:
        sun: How much a clear noon heats it above the air, K.
        lag: Hours by which its warmth comes after the sun.
        cooling: How far it falls below the air under a clear night sky, K.
        emissivity: Share of its own radiation, (0, 1]; the rest mirrors the sky.
    """

    sun: float
    lag: float
    cooling: float
    emissivity: float


LEAVES = Material(3, 0.5, 2, 0.98)
GRASS = Material(8, 0.7, 4, 0.97)
ASPHALT = Material(26, 2.0, 1, 0.95)
WALL = Material(14, 3.5, 2, 0.92)
METAL = Material(22, 0.5, 5, 0.75)
GLASS = Material(4, 1.0, 3, 0.8)
CLOTH = Material(7, 0.2, 0, 0.96)


@dataclass(frozen=True)
class Climate:
    """Time and weather of a scene.

    Attributes:
        hour: Time of the day, hours; 30 is 6 o'clock of the next day.
        air: Temperature of the air, degrees Celsius.
        cloud: Share of the sky that clouds cover, [0, 1].
        wet: Whether the road is wet, so that it mirrors warm things.
        transmission: Share of the heat that humid air lets through, (0, 1].
    """

    hour: float
    air: float
    cloud: float
    wet: bool = False
    transmission: float = 1.0

    @classmethod
    def draw(cls, rng: np.random.Generator, condition: str) -> "Climate":
        """Draw the time and weather of a condition, one of :data:`CONDITIONS`."""
        air, cloud, humid = rng.uniform(2, 38), rng.uniform() ** 2, rng.random()
        return cls(rng.uniform(*HOURS[condition]), air, cloud, rng.random() < 0.3, 1 - 0.9 * humid**1.5)

    def sun(self, lag: float = 0.0) -> float:
        """Return the heat of the sun some hours ago, [0, 1]: 0 from 18 to 6 o'clock, 1 at a clear noon."""
        return max(0.0, float(np.sin(np.pi * (self.hour - lag - 6) / 12))) * (1 - 0.8 * self.cloud)

    @property
    def daylight(self) -> float:
        """Light of the sky as a share of noon, [0.004, 1]; dusk falls by a factor of a hundred within an hour."""
        height = np.sin(np.pi * (self.hour - 6) / 12)
        return float(np.clip(10 ** (6 * height - 0.6), 0.004, 1)) * (1 - 0.5 * self.cloud)

    @property
    def sky(self) -> float:
        """Apparent temperature of the sky, degrees Celsius."""
        return self.air - 6 - 40 * (1 - self.cloud)

    def apparent(self, material: Material) -> float:
        """Return the temperature that a camera reads off a material, degrees Celsius."""
        night = (1 - self.cloud) * (1 - self.sun())
        own = self.air + material.sun * self.sun(material.lag) - material.cooling * night
        return material.emissivity * own + (1 - material.emissivity) * self.sky

    def celsius(self, grey: float, category: int) -> float:
        """Return the apparent temperature of a part that :mod:`~metafusion_yolo.prepare.synthetic.scene` draws.

        Args:
            grey: Grey level of the part there, [0, 255], which tells what it is made of.
            category: 0 person, 1 car, -1 anything else.
        """
        cloth = self.apparent(CLOTH)
        tables = {
            0: ((120, 190, 214, 244), (self.air, 0.5 * cloth + 0.5 * SKIN - 3, 0.3 * cloth + 0.7 * SKIN - 2, SKIN)),
            1: (
                (62, 130, 165, 240),
                (self.apparent(GLASS), *2 * (self.apparent(METAL),), self.apparent(METAL) + HOT),
            ),
            -1: (
                (22, 58, 70, 88, 100, 118, 150, 235),
                (
                    self.sky,
                    0.4 * self.sky + 0.6 * self.air,
                    *(self.apparent(material) for material in (LEAVES, WALL, GRASS, ASPHALT)),
                    self.air + 8,
                    self.air + HOT,
                ),
            ),
        }
        return float(np.interp(grey, *tables[category]))
