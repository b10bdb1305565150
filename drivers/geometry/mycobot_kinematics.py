"""Geometry of the myCobot 280 and 320: joint angles to flange and back, in closed form.

Denavit-Hartenberg values as Elephant Robotics publishes them ("Kinematics & Coordinate" of the 280 and 320).
Both are arms of the same build: joints 2, 3 and 4 are parallel, 5 and 6 each at right angles to the one before.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from drivers.geometry.rigid import Transform, inverse

Joints = tuple[float, ...]  # six angles in degrees
Limits = tuple[tuple[float, float], ...]
ModelName = Literal["280", "320"]

OFFSETS_DEG = (0.0, -90.0, 0.0, -90.0, 90.0, 0.0)  # theta = joint angle + offset
TWISTS = ((0.0, 1.0), (1.0, 0.0), (1.0, 0.0), (0.0, 1.0), (0.0, -1.0), (1.0, 0.0))  # cos and sin of alpha
ROUNDING_MM = 1e-6
SINGULAR = 1e-6  # sine of joint 5 below which joints 4 and 6 turn about one axis


@dataclass(frozen=True, slots=True)
class ArmGeometry:
    """Link lengths in millimetres, and the maker's joint limits in degrees."""

    d1_mm: float
    a2_mm: float
    a3_mm: float
    d4_mm: float
    d5_mm: float
    d6_mm: float
    limits_deg: Limits

    def flange(self, joints_deg: Sequence[float]) -> Transform:
        """The flange in the frame of the arm's base, at joints 1 to 6."""
        result = np.eye(4)
        for link in self._links(joints_deg):
            result = result @ link
        return result

    def joints_for(self, flange: Transform) -> list[Joints]:
        """Every set of joint angles (at most eight) for this flange, whatever the limits; empty when out of reach."""
        found: list[Joints] = []
        for theta1 in self._bases(flange):
            in_first = inverse(_link(theta1, self.d1_mm, 0.0, TWISTS[0])) @ flange
            cosine = (in_first[2, 3] - self.d4_mm) / self.d6_mm
            if abs(cosine) > 1.0 + 1e-9:
                continue
            for theta5 in _both(math.acos(max(-1.0, min(1.0, cosine)))):
                found += self._elbows(theta1, theta5, in_first)
        return found

    def within_limits(self, joints_deg: Sequence[float], limits_deg: Limits | None = None) -> bool:
        """Whether every angle lies within `limits_deg`, or the maker's limits without it."""
        limits = limits_deg or self.limits_deg
        return all(low <= q <= high for q, (low, high) in zip(joints_deg, limits, strict=True))

    def _bases(self, flange: Transform) -> list[float]:
        """Joint 1 brings the plane of the arm to the wrist, which lies `d4` beside it."""
        wrist = flange[:3, 3] - self.d6_mm * flange[:3, 2]
        away = math.hypot(wrist[0], wrist[1])
        if away < self.d4_mm - ROUNDING_MM:
            return []
        direction, aside = math.atan2(wrist[1], wrist[0]), math.asin(min(1.0, self.d4_mm / away))
        return [direction + aside, direction + math.pi - aside]

    def _elbows(self, theta1: float, theta5: float, in_first: Transform) -> list[Joints]:
        """Joints 2 to 4, which move in one plane, for given joints 1 and 5; at joint 5 = 0 joint 6 is set to 0."""
        sine = math.sin(theta5)
        theta6 = 0.0
        if abs(sine) > SINGULAR:
            theta6 = math.atan2(-in_first[2, 1] / sine, in_first[2, 0] / sine)
        hand = _link(theta5, self.d5_mm, 0.0, TWISTS[4]) @ _link(theta6, self.d6_mm, 0.0, TWISTS[5])
        fourth = in_first @ inverse(hand)
        x, y = float(fourth[0, 3]), float(fourth[1, 3])
        cosine = (x * x + y * y - self.a2_mm**2 - self.a3_mm**2) / (2 * self.a2_mm * self.a3_mm)
        if abs(cosine) > 1.0 + 1e-9:
            return []
        found = []
        for theta3 in _both(math.acos(max(-1.0, min(1.0, cosine)))):
            bent = math.atan2(self.a3_mm * math.sin(theta3), self.a2_mm + self.a3_mm * math.cos(theta3))
            theta2 = math.atan2(y, x) - bent
            theta4 = math.atan2(fourth[1, 0], fourth[0, 0]) - theta2 - theta3
            thetas = (theta1, theta2, theta3, theta4, theta5, theta6)
            found.append(tuple(_wrapped(math.degrees(t) - o) for t, o in zip(thetas, OFFSETS_DEG, strict=True)))
        return found

    def _links(self, joints_deg: Sequence[float]) -> list[Transform]:
        shifts = (self.d1_mm, 0.0, 0.0, self.d4_mm, self.d5_mm, self.d6_mm)
        lengths = (0.0, self.a2_mm, self.a3_mm, 0.0, 0.0, 0.0)
        return [
            _link(math.radians(q + offset), d, a, twist)
            for q, offset, d, a, twist in zip(joints_deg, OFFSETS_DEG, shifts, lengths, TWISTS, strict=True)
        ]


GEOMETRIES: dict[ModelName, ArmGeometry] = {
    "280": ArmGeometry(
        131.22, -110.4, -96.0, 63.4, 75.05, 45.6,
        ((-168.0, 168.0), (-135.0, 135.0), (-150.0, 150.0), (-145.0, 145.0), (-165.0, 165.0), (-180.0, 180.0)),
    ),
    "320": ArmGeometry(
        173.9, -135.0, -120.0, 88.78, 95.0, 65.5,
        ((-168.0, 168.0), (-135.0, 135.0), (-145.0, 145.0), (-148.0, 148.0), (-168.0, 168.0), (-180.0, 180.0)),
    ),
}  # fmt: skip


def nearest(candidates: Sequence[Joints], to_deg: Sequence[float]) -> Joints | None:
    """The candidate whose farthest joint has the least way to go; None when there is none."""
    return min(candidates, key=lambda c: max(abs(a - b) for a, b in zip(c, to_deg, strict=True)), default=None)


def _link(theta: float, d_mm: float, a_mm: float, twist: tuple[float, float]) -> Transform:
    ct, st = math.cos(theta), math.sin(theta)
    ca, sa = twist
    return np.array(
        [
            [ct, -st * ca, st * sa, a_mm * ct],
            [st, ct * ca, -ct * sa, a_mm * st],
            [0.0, sa, ca, d_mm],
            [0.0, 0.0, 0.0, 1.0],
        ]
    )


def _both(angle: float) -> tuple[float, ...]:
    return (angle, -angle) if angle > 0.0 else (angle,)


def _wrapped(angle_deg: float) -> float:
    return (angle_deg + 180.0) % 360.0 - 180.0
