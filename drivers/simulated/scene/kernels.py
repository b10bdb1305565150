"""Compiled ray tracing and shading of a part: one ray per pixel, closed-form patches, exact shadows.

The file is long on purpose: these kernels call each other, and numba's cache notices changes only of the file in
which a kernel stands. Split, an edited helper would leave stale machine code behind.

Everything is in the part frame, millimetres, float64. Every ray begins at a known point (camera or
light), so candidate patches come from a grid over the directions seen from that point.

Row layouts (written by `part.py` and `geometry.py`, read only here):
patch     0:3 origin, 3:6 U, 6:9 V, 9:12 W (unit axes), 12 kind, 13:18 shape, 19 outward sign, 20 material,
          21:23 cut-outs first/count, 23:25 defects, 25 face, 26:28 paints
material  0:3 albedo, 3:6 F0, 6 alpha, 7 texture, 8 slope, 9 cell mm, 10 mottle (GRAIN only), 11 u phase,
          12 v phase, 13 seed; the last row is the fixture plate
grid      0:3 origin, 3:6 right, 6:9 up, 9:12 ahead, 12 x_lo, 13 y_lo, 14 cells per unit x, 15 per unit y,
          16 cells; one row per source
surface   0:3 normal with relief, 3:6 geometric normal, 6:9 albedo, 9:12 F0, 12 alpha, 13:16 point, 16 t,
          17 face, 18 in a defect, 19:21 slope dh/du dh/dv, 21 painted, 22 in shadow, 23 vignetting, 24:26 (u, v),
          26 patch (the plate's number follows the last patch's)
cells     the coarse grid of a patch (`surfels.py`): 0:2 u, v of its corner, 2:4 cells per mm of u and v, 4:6 cells
          along u and v, 6 number of the first cell, 7 closed round u; the last row is the fixture plate
look      what a pixel sees: 0:27 the surface, 27:30 the unit vector back to the camera, 30 patch, PLATE or NOTHING;
          of a mesh also (24:26) weights of corners 1 and 2, (26) triangle, and (22) SHADED where this light is blocked
flaw      a defect on a mesh: 0:14 as on a patch, 14:17 its place, 17:20 U, 20:23 V, 23:26 normal, 26 reach mm
bounced   per cell and colour 0:3 bounced irradiance, 3:12 its mean direction x, y, z times as much; 12 open share of
          the dome (`bounce.py`)
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from drivers.simulated.scene.jit import inlined, kernel

F64 = NDArray[np.float64]
I32 = NDArray[np.int32]

RECT, DISC, CYLINDER, CONE, SPHERE = 0, 1, 2, 3, 4
CUT_RECT, CUT_CIRCLE, CUT_HALF_PLANE = 0, 1, 2
PLAIN, GRAIN, TURNED, BRUSHED = 0, 1, 2, 3
GROOVE, BOWL, STAIN, TINT = 0, 1, 2, 3
SURFACE_SIZE = 27
BOUNCED_SIZE = 13
LOOK_SIZE = SURFACE_SIZE + 4
POLISHED = 0.15  # GGX roughness: below it a highlight is an image of the lamp
PLATE, NOTHING = -1, -2
SHADED = 2.0  # what a look says of a light whose way to the surface was traced elsewhere, and is blocked
FLAW_SIZE = 27
_FAR = 1e30
_SHADOW_END = 1.0 - 2e-5  # of the way from light to point: 5 um at 250 mm
_TWO_PI = 2.0 * math.pi


@kernel
def _mix(value: np.uint64) -> np.uint64:
    """The finaliser of splitmix64: a counter goes in, 64 well mixed bits come out.

    `sensor.py` has the same function: a kernel is cached by its own file.
    """
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


@kernel
def _lattice(i: int, j: int, seed: int) -> float:
    """A fixed random number in -1..1 at a lattice point."""
    column, row = np.uint64(i) * np.uint64(0x9E3779B97F4A7C15), np.uint64(j) * np.uint64(0xD1B54A32D192ED03)
    h = _mix(column + row + np.uint64(seed))
    return float(h >> np.uint64(11)) * (2.0 / 9007199254740992.0) - 1.0


@kernel
def _noise(x: float, y: float, seed: int) -> tuple[float, float, float]:
    """Value noise with quintic blending, lattice pitch 1: value and its two derivatives."""
    fx, fy = math.floor(x), math.floor(y)
    i, j = int(fx), int(fy)
    x -= fx
    y -= fy
    sx, dx = x * x * x * (x * (x * 6.0 - 15.0) + 10.0), 30.0 * x * x * (x * (x - 2.0) + 1.0)
    sy, dy = y * y * y * (y * (y * 6.0 - 15.0) + 10.0), 30.0 * y * y * (y * (y - 2.0) + 1.0)
    a, b = _lattice(i, j, seed), _lattice(i + 1, j, seed)
    c, d = _lattice(i, j + 1, seed), _lattice(i + 1, j + 1, seed)
    k = a - b - c + d
    return a + (b - a) * sx + (c - a) * sy + k * sx * sy, (b - a + k * sy) * dx, (c - a + k * sx) * dy


@inlined
def _inside_bounds(patches: F64, k: int, cuts: F64, u: float, v: float) -> bool:
    """Whether a planar patch has material at (u, v)."""
    if patches[k, 12] == RECT:
        if u < patches[k, 13] or u > patches[k, 14] or v < patches[k, 15] or v > patches[k, 16]:
            return False
    else:
        rr = u * u + v * v
        if rr < patches[k, 13] * patches[k, 13] or rr > patches[k, 14] * patches[k, 14]:
            return False
    first = int(patches[k, 21])
    for i in range(first, first + int(patches[k, 22])):
        kind = cuts[i, 0]
        if kind == CUT_RECT:
            if cuts[i, 1] < u < cuts[i, 2] and cuts[i, 3] < v < cuts[i, 4]:
                return False
        elif kind == CUT_CIRCLE:
            if (u - cuts[i, 1]) ** 2 + (v - cuts[i, 2]) ** 2 < cuts[i, 3] * cuts[i, 3]:
                return False
        elif cuts[i, 1] * u + cuts[i, 2] * v > cuts[i, 3]:
            return False
    return True


@inlined
def _hit_round(patches: F64, k: int, ou: float, ov: float, ow: float, du: float, dv: float, dw: float) -> float:
    """First front-facing hit of a cylinder, cone or sphere, ray in its local axes; _FAR if none."""
    kind, sign = patches[k, 12], patches[k, 19]
    s = ds = slope = 0.0
    lo, hi = patches[k, 14], patches[k, 15]
    if kind == CYLINDER:
        a = du * du + dv * dv
        b = ou * du + ov * dv
        c = ou * ou + ov * ov - patches[k, 13] * patches[k, 13]
    elif kind == SPHERE:
        a = du * du + dv * dv + dw * dw
        b = ou * du + ov * dv + ow * dw
        c = ou * ou + ov * ov + ow * ow - patches[k, 13] * patches[k, 13]
    else:
        lo, hi = patches[k, 15], patches[k, 16]
        slope = (patches[k, 14] - patches[k, 13]) / (hi - lo)
        s, ds = patches[k, 13] + slope * (ow - lo), slope * dw
        a = du * du + dv * dv - ds * ds
        b = ou * du + ov * dv - s * ds
        c = ou * ou + ov * ov - s * s
    inner = float(b * b - a * c)
    if inner <= 0.0 or a == 0.0:
        return _FAR
    root = math.sqrt(inner)
    best = _FAR
    for side in range(2):
        t = (-b - root) / a if side == 0 else (-b + root) / a
        if t <= 0.0 or t >= best:
            continue
        # d(F)/dt = 2 (a t + b): negative where the ray enters the solid
        if (a * t + b) * sign >= 0.0:
            continue
        h = ow + t * dw
        if h < lo or h > hi or (kind == CONE and s + t * ds <= 0.0):
            continue
        if kind == CYLINDER and patches[k, 17] < math.pi:
            turn = math.atan2(ov + t * dv, ou + t * du) - patches[k, 16]
            turn -= _TWO_PI * math.floor(turn / _TWO_PI + 0.5)
            if abs(turn) > patches[k, 17]:
                continue
        best = t
    return best


@inlined
def _hit(patches: F64, k: int, cuts: F64, ox: float, oy: float, oz: float, dx: float, dy: float, dz: float) -> float:
    """Ray parameter of the first front-facing hit of one patch, _FAR if it is missed."""
    px, py, pz = ox - patches[k, 0], oy - patches[k, 1], oz - patches[k, 2]
    dw = dx * patches[k, 9] + dy * patches[k, 10] + dz * patches[k, 11]
    ow = px * patches[k, 9] + py * patches[k, 10] + pz * patches[k, 11]
    planar = patches[k, 12] <= DISC
    if planar and dw >= 0.0:
        return _FAR
    du = dx * patches[k, 3] + dy * patches[k, 4] + dz * patches[k, 5]
    dv = dx * patches[k, 6] + dy * patches[k, 7] + dz * patches[k, 8]
    ou = px * patches[k, 3] + py * patches[k, 4] + pz * patches[k, 5]
    ov = px * patches[k, 6] + py * patches[k, 7] + pz * patches[k, 8]
    if planar:
        t = -ow / dw
        if t > 0.0 and _inside_bounds(patches, k, cuts, ou + t * du, ov + t * dv):
            return float(t)
        return _FAR
    return _hit_round(patches, k, ou, ov, ow, du, dv, dw)


@inlined
def _cell(grids: F64, g: int, dx: float, dy: float, dz: float) -> int:
    """Grid cell in which a direction from the grid's origin lies; -1 outside."""
    z = dx * grids[g, 9] + dy * grids[g, 10] + dz * grids[g, 11]
    if z <= 0.0:
        return -1
    x = ((dx * grids[g, 3] + dy * grids[g, 4] + dz * grids[g, 5]) / z - grids[g, 12]) * grids[g, 14]
    y = ((dx * grids[g, 6] + dy * grids[g, 7] + dz * grids[g, 8]) / z - grids[g, 13]) * grids[g, 15]
    n = int(grids[g, 16])
    if x < 0.0 or y < 0.0 or x >= n or y >= n:
        return -1
    return int(y) * n + int(x)


@kernel
def _trace(
    patches: F64, cuts: F64, grids: F64, g: int, starts: I32, items: I32, dx: float, dy: float, dz: float
) -> tuple[float, int]:
    """Nearest hit of a ray from the grid's origin: (t, patch); the fixture plate z = 0 is PLATE."""
    best, found = _FAR, PLATE
    cell = _cell(grids, g, dx, dy, dz)
    if cell >= 0:
        for i in range(starts[g, cell], starts[g, cell + 1]):
            t = _hit(patches, items[i], cuts, grids[g, 0], grids[g, 1], grids[g, 2], dx, dy, dz)
            if t < best:
                best, found = t, items[i]
    if dz < 0.0 and -grids[g, 2] / dz < best:
        best, found = -grids[g, 2] / dz, PLATE
    return best, found


@inlined
def _blocked(
    patches: F64, cuts: F64, grids: F64, g: int, starts: I32, items: I32, dx: float, dy: float, dz: float
) -> bool:
    """Whether something stands between the grid's origin and the point at t = 1."""
    cell = _cell(grids, g, dx, dy, dz)
    if cell < 0:
        return False
    for i in range(starts[g, cell], starts[g, cell + 1]):
        if _hit(patches, items[i], cuts, grids[g, 0], grids[g, 1], grids[g, 2], dx, dy, dz) < _SHADOW_END:
            return True
    return False


@kernel
def _defect_relief(defects: F64, i: int, x: float, y: float, s: F64) -> None:
    """Add a groove's or bowl's slope; x, y are its own axes in half lengths, inside its footprint."""
    depth, half_length, half_width = defects[i, 7], defects[i, 5], defects[i, 6]
    if defects[i, 0] == GROOVE:
        bend = defects[i, 9]
        y -= bend * (x * x - 1.0)
        g = (1.0 - y * y) * (1.0 - y * y)
        g_y = -4.0 * y * (1.0 - y * y)
        taper, taper_x = 1.0 - x**4, -4.0 * x**3
        h_x = -depth * (g_y * (-2.0 * bend * x) * taper + g * taper_x) / half_length
        h_y = -depth * g_y * taper / half_width
    else:
        q = 1.0 - x * x - y * y
        h_x, h_y = 4.0 * depth * q * x / half_length, 4.0 * depth * q * y / half_width
    s[19] += h_x * defects[i, 3] - h_y * defects[i, 4]
    s[20] += h_x * defects[i, 4] + h_y * defects[i, 3]


@kernel
def _apply_defect(defects: F64, i: int, du: float, dv: float, s: F64) -> None:
    """Change slope or albedo in `s` if the point (du, dv) from the defect's centre is in its footprint."""
    x = (du * defects[i, 3] + dv * defects[i, 4]) / defects[i, 5]
    y = (dv * defects[i, 3] - du * defects[i, 4]) / defects[i, 6]
    kind = defects[i, 0]
    if kind == GROOVE:
        if abs(x) < 1.0 and abs(y - defects[i, 9] * (x * x - 1.0)) < 1.0:
            s[18] = 1.0
            _defect_relief(defects, i, x, y, s)
        return
    radius = math.sqrt(x * x + y * y)
    if kind == BOWL:
        if radius < 1.0:
            s[18] = 1.0
            _defect_relief(defects, i, x, y, s)
        return
    angle = math.atan2(y, x)
    radius /= 0.86 + 0.09 * math.cos(2.0 * angle + defects[i, 9]) + 0.05 * math.cos(3.0 * angle + defects[i, 10])
    if radius < 1.0:
        s[18] = 1.0
        edge = min(1.0, (1.0 - radius) / 0.25)
        weight = defects[i, 8] * edge * edge * (3.0 - 2.0 * edge)
        for c in range(3):
            s[6 + c] *= 1.0 + weight * defects[i, 11 + c]


@kernel
def _texture(materials: F64, m: int, u: float, v: float, s: F64) -> None:
    """Set albedo, F0 and alpha from the material and its micro-relief's slope at (u, v)."""
    kind, slope, seed = materials[m, 7], materials[m, 8], int(materials[m, 13])
    pitch = materials[m, 9]
    x, y = (u + materials[m, 11]) / pitch, (v + materials[m, 12]) / pitch
    s[19] = s[20] = 0.0
    tone = 1.0
    if kind == GRAIN:
        _, gx, gy = _noise(x, y, seed)
        blotch, hx, hy = _noise(0.47 * x + 7.3, 0.47 * y + 1.9, seed + 1)
        s[19], s[20] = slope * (0.7 * gx + 0.5 * hx), slope * (0.7 * gy + 0.5 * hy)
        tone += materials[m, 10] * blotch
    elif kind == TURNED:
        radius = max(math.sqrt(u * u + v * v), 1e-9)
        _, g, _ = _noise(radius / pitch + materials[m, 11], 0.5, seed)
        g = slope * (0.6 * g + 0.8 * math.cos(_TWO_PI * radius / (1.7 * pitch) + materials[m, 12]))
        g *= min(1.0, radius / pitch)  # no spike where the rings close
        s[19], s[20] = g * u / radius, g * v / radius
    elif kind == BRUSHED:
        _, gy, gx = _noise(y, 0.04 * x, seed)
        s[19], s[20] = 0.04 * slope * gx, slope * gy
    for c in range(3):
        s[6 + c] = materials[m, c] * tone
        s[9 + c] = materials[m, 3 + c]
    s[12] = materials[m, 6]


@kernel
def _frame_at(patches: F64, k: int, s: F64, tangents: F64) -> tuple[float, float]:
    """Geometric normal into s[3:6], unit tangents along u and v, and (u, v) mm at the point s[13:16]."""
    x, y, z = s[13] - patches[k, 0], s[14] - patches[k, 1], s[15] - patches[k, 2]
    lu = x * patches[k, 3] + y * patches[k, 4] + z * patches[k, 5]
    lv = x * patches[k, 6] + y * patches[k, 7] + z * patches[k, 8]
    lw = x * patches[k, 9] + y * patches[k, 10] + z * patches[k, 11]
    kind = patches[k, 12]
    if kind <= DISC:
        for c in range(3):
            s[3 + c], tangents[0, c], tangents[1, c] = patches[k, 9 + c], patches[k, 3 + c], patches[k, 6 + c]
        return lu, lv
    radius = max(math.sqrt(lu * lu + lv * lv), 1e-12)
    cu, cv = lu / radius, lv / radius
    radial, axial, v = 1.0, 0.0, lw
    if kind == SPHERE:
        radial, axial = radius / patches[k, 13], lw / patches[k, 13]
        v = patches[k, 13] * math.asin(max(-1.0, min(1.0, axial)))
    elif kind == CONE:
        slope = (patches[k, 14] - patches[k, 13]) / (patches[k, 16] - patches[k, 15])
        scale = 1.0 / math.sqrt(1.0 + slope * slope)
        radial, axial = scale, -slope * scale
        v = (lw - patches[k, 15]) / scale
    turn = math.atan2(lv, lu)
    if kind == CYLINDER:
        turn -= patches[k, 16]
        turn = patches[k, 16] + turn - _TWO_PI * math.floor(turn / _TWO_PI + 0.5)
    size = patches[k, 13]
    sign = patches[k, 19]
    for c in range(3):
        out = cu * patches[k, 3 + c] + cv * patches[k, 6 + c]
        s[3 + c] = sign * (radial * out + axial * patches[k, 9 + c])
        tangents[0, c] = cu * patches[k, 6 + c] - cv * patches[k, 3 + c]
        tangents[1, c] = radial * patches[k, 9 + c] - axial * out
    return turn * size, v


@kernel
def _surface(
    patches: F64, materials: F64, paints: F64, defects: F64, placement: F64, camera: F64,
    dx: float, dy: float, dz: float, t: float, k: int, s: F64, tangents: F64,
) -> None:  # fmt: skip
    """Fill `s` with all that is known of the surface where a ray from the camera ends."""
    s[13], s[14], s[15] = camera[0, 0] + t * dx, camera[0, 1] + t * dy, camera[0, 2] + t * dz
    s[16], s[17], s[18], s[21] = t, 0.0, 0.0, 0.0
    if k == PLATE:
        s[3] = s[4] = 0.0
        s[5] = 1.0
        u = placement[0] * s[13] - placement[1] * s[14] + placement[2]
        v = placement[1] * s[13] + placement[0] * s[14] + placement[3]
        tangents[0, 0], tangents[0, 1], tangents[0, 2] = placement[0], -placement[1], 0.0
        tangents[1, 0], tangents[1, 1], tangents[1, 2] = placement[1], placement[0], 0.0
        _texture(materials, materials.shape[0] - 1, u, v, s)
        s[24], s[25], s[26] = s[13], s[14], patches.shape[0]
    else:
        s[17] = patches[k, 25]
        u, v = _frame_at(patches, k, s, tangents)
        s[24], s[25], s[26] = u, v, k
        _texture(materials, int(patches[k, 20]), u, v, s)
        first = int(patches[k, 26])
        for i in range(first, first + int(patches[k, 27])):
            if paints[i, 0] < u < paints[i, 1] and paints[i, 2] < v < paints[i, 3]:
                s[21] = 1.0
                for c in range(3):
                    s[6 + c] = paints[i, 4 + c]
                    s[9 + c] = 0.04
        first = int(patches[k, 23])
        for i in range(first, first + int(patches[k, 24])):
            along = u - defects[i, 1]
            if patches[k, 12] >= CYLINDER:
                round_mm = _TWO_PI * patches[k, 13]
                along -= round_mm * math.floor(along / round_mm + 0.5)
            _apply_defect(defects, i, along, v - defects[i, 2], s)
    norm = 1.0 / math.sqrt(1.0 + s[19] * s[19] + s[20] * s[20])
    for c in range(3):
        s[c] = (s[3 + c] - s[19] * tangents[0, c] - s[20] * tangents[1, c]) * norm


@kernel
def _reflectance(s: F64, lx: float, ly: float, lz: float, vx: float, vy: float, vz: float, mix: F64) -> float:
    """BRDF times cosine: Lambert plus GGX (Walter et al. 2007) with Smith's masking and Schlick's Fresnel (1994).

    mix: albedo, F0 and total weight of the colours as this pixel weighs them.
    """
    nl = s[0] * lx + s[1] * ly + s[2] * lz
    if nl <= 0.0:
        return 0.0
    nv = max(s[0] * vx + s[1] * vy + s[2] * vz, 1e-3)
    hx, hy, hz = lx + vx, ly + vy, lz + vz
    norm = 1.0 / math.sqrt(hx * hx + hy * hy + hz * hz)
    nh = (s[0] * hx + s[1] * hy + s[2] * hz) * norm
    vh = 1.0 - (vx * hx + vy * hy + vz * hz) * norm
    aa = s[12] * s[12]
    q = nh * nh * (aa - 1.0) + 1.0
    masking = nl * math.sqrt(aa + (1.0 - aa) * nv * nv) + nv * math.sqrt(aa + (1.0 - aa) * nl * nl)
    fresnel = mix[1] + (mix[2] - mix[1]) * (vh * vh * vh * vh * vh)
    return float(nl * (mix[0] + 0.5 * aa * fresnel / (q * q * masking)) / math.pi)


@inlined
def _point_light(
    patches: F64, cuts: F64, light: F64, grids: F64, starts: I32, items: I32, s: F64, view: F64, mix: F64
) -> float:  # fmt: skip
    """Signal from one point light: light = 0:3 axis, 3 power, 4 lobe exponent; 0 in shadow."""
    x, y, z = s[13] - grids[0, 0], s[14] - grids[0, 1], s[15] - grids[0, 2]
    is_shaded = s[22] == SHADED
    s[22] = 1.0
    if is_shaded or s[3] * x + s[4] * y + s[5] * z >= 0.0:
        return 0.0
    distance = math.sqrt(x * x + y * y + z * z)
    lobe = (light[0] * x + light[1] * y + light[2] * z) / distance
    if lobe <= 0.0 or _blocked(patches, cuts, grids, 0, starts, items, x, y, z):
        return 0.0
    s[22] = 0.0
    lx, ly, lz = -x / distance, -y / distance, -z / distance
    signal = _reflectance(s, lx, ly, lz, view[0], view[1], view[2], mix)
    if light[4] != 1.0:
        lobe = lobe ** light[4]
    return float(signal * light[3] * lobe / (distance * distance))


@inlined
def _interpolate(cells: F64, bounced: NDArray[np.float32], s: F64, out: F64) -> None:
    """Bilinear between the middles of the cells round the surface's (u, v), straight on for the last half cell."""
    k = int(s[26])
    columns, rows, first = int(cells[k, 4]), int(cells[k, 5]), int(cells[k, 6])
    x, y = (s[24] - cells[k, 0]) * cells[k, 2] - 0.5, (s[25] - cells[k, 1]) * cells[k, 3] - 0.5
    x, y = min(max(x, -0.5), columns - 0.5), min(max(y, -0.5), rows - 0.5)
    i, j = math.floor(x), math.floor(y)
    if cells[k, 7] == 0.0:
        i = min(max(i, 0), max(columns - 2, 0))
    j = min(max(j, 0), max(rows - 2, 0))
    fx, fy = x - i, y - j
    i_next, j_next = i + 1, min(j + 1, rows - 1)
    if cells[k, 7] > 0.0:
        i, i_next = i % columns, i_next % columns
    i_next = min(i_next, columns - 1)
    a, b = first + j * columns + i, first + j * columns + i_next
    c, d = first + j_next * columns + i, first + j_next * columns + i_next
    for n in range(BOUNCED_SIZE):
        upper = bounced[a, n] + fx * (bounced[b, n] - bounced[a, n])
        lower = bounced[c, n] + fx * (bounced[d, n] - bounced[c, n])
        out[n] = upper + fy * (lower - upper)


@inlined
def _indirect(s: F64, responses: F64, colour: int, found: F64) -> float:
    """Signal of the light that other surfaces send here. Where micro-relief or a defect tilts the surface, it changes
    with the mean direction of that light. Gloss counts as if diffuse; what is polished mirrors nothing."""
    signal = 0.0
    gloss = 1.0 if s[12] >= POLISHED else 0.0
    for c in range(3):
        tilt = 0.0
        for axis in range(3):
            tilt += (s[axis] - s[3 + axis]) * found[3 + 3 * axis + c]
        signal += responses[colour, c] * (s[6 + c] + gloss * s[9 + c]) * max(found[c] + tilt, 0.0)
    return float(signal / math.pi)


@inlined
def _dome(camera: F64, s: F64, view: F64, mix: F64, open_share: float) -> float:
    """Signal from a large dome round the optical axis, of which `open_share` of the light comes past all obstacles."""
    nv = -(s[0] * camera[0, 9] + s[1] * camera[0, 10] + s[2] * camera[0, 11])
    s[22] = 0.0
    twice_nv = 2.0 * (s[0] * view[0] + s[1] * view[1] + s[2] * view[2])
    mirror = 0.0
    for c in range(3):
        mirror -= (twice_nv * s[c] - view[c]) * camera[0, 9 + c]
    irradiance, mirrored = 0.5 * (1.0 + nv), 0.5 * (1.0 + mirror)
    signal = mix[0] * irradiance + 0.5 * mix[1] * mirrored
    return float(signal * min(max(open_share, 0.0), 1.0) / math.pi)


@kernel
def _look(
    patches: F64, cuts: F64, materials: F64, paints: F64, defects: F64, placement: F64,
    camera: F64, camera_starts: I32, camera_items: I32, rays: F64, x: float, y: float,
    s: F64, tangents: F64, view: F64,
) -> int:  # fmt: skip
    """What the pixel (x, y) of the region sees: fills `s` and `view`; the patch's index, PLATE or NOTHING."""
    dx = rays[0] + x * rays[3] + y * rays[6]
    dy = rays[1] + x * rays[4] + y * rays[7]
    dz = rays[2] + x * rays[5] + y * rays[8]
    t, k = _trace(patches, cuts, camera, 0, camera_starts, camera_items, dx, dy, dz)
    if t >= _FAR:
        return NOTHING
    _surface(patches, materials, paints, defects, placement, camera, dx, dy, dz, t, k, s, tangents)
    # natural vignetting: the direction has unit depth, so the axis angle's cosine is `shorten`
    shorten = 1.0 / math.sqrt(dx * dx + dy * dy + dz * dz)
    view[0], view[1], view[2] = -dx * shorten, -dy * shorten, -dz * shorten
    s[23] = shorten * shorten * shorten * shorten
    return k


@inlined
def _recall(look: F64, s: F64, view: F64) -> int:
    """What `look_rows` wrote for a pixel, as `_look` gives it, bit for bit."""
    for n in range(SURFACE_SIZE):
        s[n] = look[n]
    for c in range(3):
        view[c] = look[SURFACE_SIZE + c]
    return int(look[SURFACE_SIZE + 3])


@kernel
def look_rows(
    patches: F64, cuts: F64, materials: F64, paints: F64, defects: F64, placement: F64,
    camera: F64, camera_starts: I32, camera_items: I32, rays: F64, looks: F64, row_0: int, row_1: int,
) -> None:  # fmt: skip
    """What each pixel of some rows sees into looks (H, W, LOOK_SIZE): the same under every light."""
    s, tangents, view = np.zeros(SURFACE_SIZE), np.zeros((2, 3)), np.zeros(3)
    for row in range(row_0, row_1):
        for column in range(looks.shape[1]):
            k = _look(patches, cuts, materials, paints, defects, placement, camera, camera_starts, camera_items,
                      rays, column, row, s, tangents, view)  # fmt: skip
            for n in range(SURFACE_SIZE):
                looks[row, column, n] = s[n]
            for c in range(3):
                looks[row, column, SURFACE_SIZE + c] = view[c]
            looks[row, column, SURFACE_SIZE + 3] = k


@inlined
def _lit(
    patches: F64, cuts: F64, camera: F64, light: F64, grids: F64, starts: I32, items: I32,
    cells: F64, bounced: NDArray[np.float32], responses: F64, colour: int, is_dome: bool, s: F64, view: F64, mix: F64,
    found: F64,
) -> float:  # fmt: skip
    """Signal of the surface in `s` in one row of `responses`. No rows in `bounced`: direct light alone."""
    mix[0] = mix[1] = mix[2] = 0.0
    for c in range(3):
        mix[0] += responses[colour, c] * s[6 + c]
        mix[1] += responses[colour, c] * s[9 + c]
        mix[2] += responses[colour, c]
    indirect = 0.0
    if bounced.shape[0] > 0:
        _interpolate(cells, bounced, s, found)
        indirect = _indirect(s, responses, colour, found)
    if is_dome:
        return float(s[23] * (light[3] * _dome(camera, s, view, mix, found[12]) + indirect))
    return float(s[23] * (_point_light(patches, cuts, light, grids, starts, items, s, view, mix) + indirect))


@kernel
def radiance_rows(
    patches: F64, cuts: F64, materials: F64, paints: F64, defects: F64, placement: F64,
    camera: F64, camera_starts: I32, camera_items: I32, rays: F64, light: F64,
    grids: F64, starts: I32, items: I32, cells: F64, bounced: NDArray[np.float32], responses: F64, is_dome: bool,
    origin: I32, step: int, planes: I32,
    corners: NDArray[np.float32], kinds: I32, looks: F64, out: NDArray[np.float32], row_0: int, row_1: int,
) -> None:  # fmt: skip
    """Signal of one light at level 1 into out[row_0:row_1], electrons per microsecond.

    rays: 0:3 direction at pixel (0, 0), 3:6 step per column, 6:9 step per row (unit depth); origin: column
    and row of pixel (0, 0) on the sensor; responses (4, 3): colour weights by (row & 1) * 2 + (column & 1).
    With step > 1, tiles of step x step pixels whose corners see the same surface in the same light are
    interpolated from `corners` and `kinds` (see `corner_rows`); all others are traced pixel by pixel, or taken from
    `looks` where that has rows.
    """
    s, tangents, view, mix = np.zeros(SURFACE_SIZE), np.zeros((2, 3)), np.zeros(3), np.zeros(3)
    found = np.zeros(BOUNCED_SIZE)
    shift_x, shift_y = origin[0] % step, origin[1] % step
    for row in range(row_0, row_1):
        j = (row + shift_y) // step
        fy = (row + shift_y - j * step) / step
        for column in range(out.shape[1]):
            colour = ((row + origin[1]) & 1) * 2 + ((column + origin[0]) & 1)
            if step > 1:
                i = (column + shift_x) // step
                kind = kinds[j, i]
                if kind != NOTHING and kind == kinds[j, i + 1] == kinds[j + 1, i] == kinds[j + 1, i + 1]:
                    fx = (column + shift_x - i * step) / step
                    p = planes[colour]
                    upper = corners[p, j, i] + fx * (corners[p, j, i + 1] - corners[p, j, i])
                    lower = corners[p, j + 1, i] + fx * (corners[p, j + 1, i + 1] - corners[p, j + 1, i])
                    out[row, column] = upper + fy * (lower - upper)
                    continue
            if looks.shape[0] > 0:
                k = _recall(looks[row, column], s, view)
            else:
                k = _look(patches, cuts, materials, paints, defects, placement, camera, camera_starts, camera_items,
                          rays, column, row, s, tangents, view)  # fmt: skip
            out[row, column] = 0.0
            if k != NOTHING:
                out[row, column] = _lit(patches, cuts, camera, light, grids, starts, items, cells, bounced, responses,
                                        colour, is_dome, s, view, mix, found)  # fmt: skip


@kernel
def corner_rows(
    patches: F64, cuts: F64, materials: F64, paints: F64, defects: F64, placement: F64,
    camera: F64, camera_starts: I32, camera_items: I32, rays: F64, light: F64,
    grids: F64, starts: I32, items: I32, cells: F64, bounced: NDArray[np.float32], responses: F64, is_dome: bool,
    origin: I32, step: int, colours: I32,
    corners: NDArray[np.float32], kinds: I32, row_0: int, row_1: int,
) -> None:  # fmt: skip
    """Signal at each step-th pixel of the sensor, one plane per entry of `colours`, and what is seen there.

    Two corners of the same kind see the same patch with the same paint, defect and shadows.
    """
    s, tangents, view, mix = np.zeros(SURFACE_SIZE), np.zeros((2, 3)), np.zeros(3), np.zeros(3)
    found = np.zeros(BOUNCED_SIZE)
    for j in range(row_0, row_1):
        y = j * step - origin[1] % step
        for i in range(kinds.shape[1]):
            x = i * step - origin[0] % step
            k = _look(patches, cuts, materials, paints, defects, placement, camera, camera_starts, camera_items,
                      rays, x, y, s, tangents, view)  # fmt: skip
            kinds[j, i] = NOTHING
            if k == NOTHING:
                continue
            for p in range(colours.shape[0]):
                corners[p, j, i] = _lit(patches, cuts, camera, light, grids, starts, items, cells, bounced, responses,
                                        colours[p], is_dome, s, view, mix, found)  # fmt: skip
            kinds[j, i] = ((k + 1) * 2 + int(s[22])) * 4 + int(s[21]) * 2 + int(s[18])


@kernel
def truth_rows(
    patches: F64, cuts: F64, materials: F64, paints: F64, defects: F64, placement: F64,
    camera: F64, camera_starts: I32, camera_items: I32, rays: F64, normals: NDArray[np.float32],
    albedo: NDArray[np.float32], depth: NDArray[np.float32], faces: NDArray[np.int16], marks: NDArray[np.bool_],
    looks: F64, row_0: int, row_1: int,
) -> None:  # fmt: skip
    """Normals (camera frame), albedo, depth along the axis, face and defect footprint for some rows."""
    s, tangents, view = np.zeros(SURFACE_SIZE), np.zeros((2, 3)), np.zeros(3)
    for row in range(row_0, row_1):
        for column in range(depth.shape[1]):
            if looks.shape[0] > 0:
                k = _recall(looks[row, column], s, view)
            else:
                k = _look(patches, cuts, materials, paints, defects, placement, camera, camera_starts, camera_items,
                          rays, column, row, s, tangents, view)  # fmt: skip
            if k == NOTHING:
                continue
            for c in range(3):
                albedo[c, row, column] = s[6 + c]
            normals[0, row, column] = s[0] * camera[0, 3] + s[1] * camera[0, 4] + s[2] * camera[0, 5]
            normals[1, row, column] = s[0] * camera[0, 6] + s[1] * camera[0, 7] + s[2] * camera[0, 8]
            normals[2, row, column] = -(s[0] * camera[0, 9] + s[1] * camera[0, 10] + s[2] * camera[0, 11])
            depth[row, column] = s[16]
            faces[row, column] = int(s[17])
            marks[row, column] = s[18] > 0.0


@kernel
def shadow_rows(
    patches: F64, cuts: F64, materials: F64, paints: F64, defects: F64, placement: F64,
    camera: F64, camera_starts: I32, camera_items: I32, rays: F64,
    grids: F64, starts: I32, items: I32, out: NDArray[np.bool_], row_0: int, row_1: int,
) -> None:  # fmt: skip
    """True where the geometric surface turns away from the light or something stands before it."""
    s, tangents, view = np.zeros(SURFACE_SIZE), np.zeros((2, 3)), np.zeros(3)
    for row in range(row_0, row_1):
        for column in range(out.shape[1]):
            k = _look(patches, cuts, materials, paints, defects, placement, camera, camera_starts, camera_items,
                      rays, column, row, s, tangents, view)  # fmt: skip
            x, y, z = s[13] - grids[0, 0], s[14] - grids[0, 1], s[15] - grids[0, 2]
            away = k == NOTHING or s[3] * x + s[4] * y + s[5] * z >= 0.0
            out[row, column] = away or _blocked(patches, cuts, grids, 0, starts, items, x, y, z)


@kernel
def fill_grid(patches: F64, corners: F64, grid: F64, starts: I32, items: I32, write: bool) -> int:
    """List per cell the patches that may be seen there from the grid's origin; returns how many entries.

    Called twice: first to count (into starts[cell + 1]), then, after the running sum, to write.
    """
    n = int(grid[16])
    total = 0
    for k in range(patches.shape[0]):
        patch = patches[k]
        if patch[12] <= DISC:
            facing = 0.0
            for c in range(3):
                facing += (grid[c] - patch[c]) * patch[9 + c]
            if facing <= 0.0:
                continue
        x_lo = y_lo = _FAR
        x_hi = y_hi = -_FAR
        for i in range(8):
            dx, dy, dz = corners[k, i, 0] - grid[0], corners[k, i, 1] - grid[1], corners[k, i, 2] - grid[2]
            z = dx * grid[9] + dy * grid[10] + dz * grid[11]
            x = ((dx * grid[3] + dy * grid[4] + dz * grid[5]) / z - grid[12]) * grid[14]
            y = ((dx * grid[6] + dy * grid[7] + dz * grid[8]) / z - grid[13]) * grid[15]
            x_lo, x_hi, y_lo, y_hi = min(x_lo, x), max(x_hi, x), min(y_lo, y), max(y_hi, y)
        for j in range(max(0, int(y_lo - 1e-6)), min(n - 1, int(y_hi + 1e-6)) + 1):
            for i in range(max(0, int(x_lo - 1e-6)), min(n - 1, int(x_hi + 1e-6)) + 1):
                cell = j * n + i
                total += 1
                if write:
                    items[starts[cell]] = k
                    starts[cell] += 1
                else:
                    starts[cell + 1] += 1
    return total


# -- light that bounces: cells on all surfaces, and what they see of each other ------------------------------------


@kernel
def _point_at(patches: F64, k: int, u: float, v: float, s: F64) -> None:
    """The point of patch k, or of the plate, at (u, v), into s[13:16]."""
    if k == patches.shape[0]:
        s[13], s[14], s[15] = u, v, 0.0
        return
    kind = patches[k, 12]
    lu, lv, lw = u, v, 0.0
    if kind > DISC:
        angle, radius, lw = u / patches[k, 13], patches[k, 13], v
        if kind == SPHERE:
            lw, radius = patches[k, 13] * math.sin(v / patches[k, 13]), patches[k, 13] * math.cos(v / patches[k, 13])
        elif kind == CONE:
            slope = (patches[k, 14] - patches[k, 13]) / (patches[k, 16] - patches[k, 15])
            along = v / math.sqrt(1.0 + slope * slope)
            lw, radius = patches[k, 15] + along, patches[k, 13] + slope * along
        lu, lv = radius * math.cos(angle), radius * math.sin(angle)
    for c in range(3):
        s[13 + c] = patches[k, c] + lu * patches[k, 3 + c] + lv * patches[k, 6 + c] + lw * patches[k, 9 + c]


@kernel
def _normal_at(patches: F64, k: int, s: F64, tangents: F64) -> tuple[float, float]:
    """As `_frame_at`, for the plate too, with (u, v) as the cells have it."""
    if k == patches.shape[0]:
        s[3], s[4], s[5] = 0.0, 0.0, 1.0
        return s[13], s[14]
    return _frame_at(patches, k, s, tangents)


@kernel
def _around(normal: F64, turn: float, frame: F64) -> None:
    """(3, 3) rows: two axes across the normal, turned about it by `turn` radians, and the normal."""
    x, y, z = normal[0], normal[1], normal[2]
    hx, hy, hz = (1.0, 0.0, 0.0) if abs(x) < 0.6 else (0.0, 1.0, 0.0)
    ax, ay, az = y * hz - z * hy, z * hx - x * hz, x * hy - y * hx
    length = math.sqrt(ax * ax + ay * ay + az * az)
    ax, ay, az = ax / length, ay / length, az / length
    bx, by, bz = y * az - z * ay, z * ax - x * az, x * ay - y * ax
    cos, sin = math.cos(turn), math.sin(turn)
    frame[0, 0], frame[0, 1], frame[0, 2] = cos * ax + sin * bx, cos * ay + sin * by, cos * az + sin * bz
    frame[1, 0], frame[1, 1], frame[1, 2] = cos * bx - sin * ax, cos * by - sin * ay, cos * bz - sin * az
    frame[2, 0], frame[2, 1], frame[2, 2] = x, y, z


@kernel
def _is_within(patches: F64, flipped: F64, cuts: F64, s: F64, dx: float, dy: float, dz: float) -> bool:
    """Whether the first surface from the point in `s` along a way is met from behind; `flipped` face the other way."""
    front = behind = _FAR
    for k in range(patches.shape[0]):
        ahead = _hit(patches, k, cuts, s[13], s[14], s[15], dx, dy, dz)
        back = _hit(flipped, k, cuts, s[13], s[14], s[15], dx, dy, dz)
        if 1e-6 < ahead < front:
            front = ahead
        if 1e-6 < back < behind:  # nearer than that it is the point's own surface, which is round
            behind = back
    return behind < front


@kernel
def _is_hidden(patches: F64, flipped: F64, cuts: F64, s: F64, frame: F64) -> bool:
    """Whether the point in `s` lies inside the body, as most of five ways out of it say.

    One way would not do: bodies stand in each other without end faces. The ways line up with no edge.
    """
    _around(s[3:6], 0.37, frame)
    within = 0
    for way in range(5):
        if within + 5 - way < 3:
            return False
        a, b = (0.0, 0.0) if way == 0 else (math.cos(_TWO_PI * way / 4.0), math.sin(_TWO_PI * way / 4.0))
        dx = 1.03 * frame[2, 0] + a * frame[0, 0] + b * frame[1, 0] + 0.031
        dy = 1.03 * frame[2, 1] + a * frame[0, 1] + b * frame[1, 1] + 0.023
        dz = 1.03 * frame[2, 2] + a * frame[0, 2] + b * frame[1, 2] + 0.017
        if _is_within(patches, flipped, cuts, s, dx, dy, dz):
            within += 1
            if within == 3:
                return True
    return False


@kernel
def _has_material(patches: F64, k: int, cuts: F64, u: float, v: float) -> bool:
    return k == patches.shape[0] or patches[k, 12] > DISC or _inside_bounds(patches, k, cuts, u, v)


@kernel
def survey_cells(
    patches: F64, flipped: F64, cuts: F64, cells: F64, per_side: int,
    points: F64, normals: F64, exposed: NDArray[np.uint16], row_0: int, row_1: int,
) -> None:  # fmt: skip
    """For the cells of patches row_0..row_1: which of per_side^2 places in it are open surface (bits of `exposed`), and
    the open place nearest to its middle with its normal; the middle where none is."""
    s, tangents, frame = np.zeros(SURFACE_SIZE), np.zeros((2, 3)), np.zeros((3, 3))
    for k in range(row_0, row_1):
        columns = int(cells[k, 4])
        for n in range(columns * int(cells[k, 5])):
            at = int(cells[k, 6]) + n
            i, j = n % columns, n // columns
            nearest = _FAR
            exposed[at] = 0
            for m in range(per_side * per_side):
                x, y = (m % per_side + 0.5) / per_side, (m // per_side + 0.5) / per_side
                u, v = cells[k, 0] + (i + x) / cells[k, 2], cells[k, 1] + (j + y) / cells[k, 3]
                _point_at(patches, k, u, v, s)
                _normal_at(patches, k, s, tangents)
                away = (x - 0.5) * (x - 0.5) + (y - 0.5) * (y - 0.5)
                is_open = _has_material(patches, k, cuts, u, v) and not _is_hidden(patches, flipped, cuts, s, frame)
                if is_open:
                    exposed[at] |= np.uint16(1 << m)
                if (is_open and away < nearest) or (away == 0.0 and nearest == _FAR):
                    for c in range(3):
                        points[at, c], normals[at, c] = s[13 + c], s[3 + c]
                    if is_open:
                        nearest = away


@kernel
def _turn(cell: int) -> float:
    """Each cell looks along directions turned by its own angle, so that no pattern of them shows."""
    return float(_TWO_PI * ((cell * 0.6180339887498949) % 1.0))


@kernel
def _cell_of(patches: F64, cells: F64, k: int, s: F64, tangents: F64) -> int:
    """Number of the cell in which the point s[13:16] of patch k lies, the nearest one if it is outside."""
    u, v = _normal_at(patches, k, s, tangents)
    columns, rows = int(cells[k, 4]), int(cells[k, 5])
    i, j = math.floor((u - cells[k, 0]) * cells[k, 2]), math.floor((v - cells[k, 1]) * cells[k, 3])
    return int(cells[k, 6] + min(max(j, 0), rows - 1) * columns + min(max(i, 0), columns - 1))


@kernel
def gather_rows(
    patches: F64, cuts: F64, corners: F64, cells: F64, points: F64, normals: F64, exposed: NDArray[np.uint16],
    directions: F64, seen: I32, row_0: int, row_1: int,
) -> None:  # fmt: skip
    """seen[cell, ray]: the cell that is met in each direction (M, 3), z along the normal; -1: nothing."""
    s, tangents, frame = np.zeros(SURFACE_SIZE), np.zeros((2, 3)), np.zeros((3, 3))
    near = np.zeros(patches.shape[0], np.int32)
    for at in range(row_0, row_1):
        seen[at] = -1
        if exposed[at] == 0:
            continue
        _around(normals[at], _turn(at), frame)
        ox, oy, oz = points[at, 0], points[at, 1], points[at, 2]
        count = 0
        for k in range(patches.shape[0]):
            if patches[k, 12] <= DISC:
                ahead = (ox - patches[k, 0]) * patches[k, 9] + (oy - patches[k, 1]) * patches[k, 10]
                if ahead + (oz - patches[k, 2]) * patches[k, 11] <= 1e-9:
                    continue
            for i in range(8):
                above = (corners[k, i, 0] - ox) * frame[2, 0] + (corners[k, i, 1] - oy) * frame[2, 1]
                if above + (corners[k, i, 2] - oz) * frame[2, 2] > 1e-6:
                    near[count] = k
                    count += 1
                    break
        for m in range(directions.shape[0]):
            dx = directions[m, 0] * frame[0, 0] + directions[m, 1] * frame[1, 0] + directions[m, 2] * frame[2, 0]
            dy = directions[m, 0] * frame[0, 1] + directions[m, 1] * frame[1, 1] + directions[m, 2] * frame[2, 1]
            dz = directions[m, 0] * frame[0, 2] + directions[m, 1] * frame[1, 2] + directions[m, 2] * frame[2, 2]
            best, found = _FAR, -1
            for c in range(count):
                t = _hit(patches, near[c], cuts, ox, oy, oz, dx, dy, dz)
                if t < best:
                    best, found = t, near[c]
            if dz < 0.0 and -oz / dz < best:
                best, found = -oz / dz, patches.shape[0]
            if found >= 0:
                s[13], s[14], s[15] = ox + best * dx, oy + best * dy, oz + best * dz
                seen[at, m] = _cell_of(patches, cells, found, s, tangents)


@kernel
def ray_directions(normals: F64, directions: F64, out: NDArray[np.float32], row_0: int, row_1: int) -> None:
    """(cells, M, 3): the directions in which `gather_rows` looks, in the part frame."""
    frame = np.zeros((3, 3))
    for at in range(row_0, row_1):
        _around(normals[at], _turn(at), frame)
        for m in range(directions.shape[0]):
            for c in range(3):
                out[at, m, c] = (
                    directions[m, 0] * frame[0, c] + directions[m, 1] * frame[1, c] + directions[m, 2] * frame[2, c]
                )


@kernel
def lit_cells(
    patches: F64, cuts: F64, cells: F64, exposed: NDArray[np.uint16], per_side: int, light: F64,
    grids: F64, starts: I32, items: I32, out: F64, row_0: int, row_1: int,
) -> None:  # fmt: skip
    """Irradiance of the cells of patches row_0..row_1 from one point light: mean over their open places."""
    s, tangents = np.zeros(SURFACE_SIZE), np.zeros((2, 3))
    for k in range(row_0, row_1):
        columns = int(cells[k, 4])
        for n in range(columns * int(cells[k, 5])):
            at = int(cells[k, 6]) + n
            total, count = 0.0, 0
            for m in range(per_side * per_side):
                if exposed[at] & np.uint16(1 << m) == 0:
                    continue
                count += 1
                u = cells[k, 0] + (n % columns + (m % per_side + 0.5) / per_side) / cells[k, 2]
                v = cells[k, 1] + (n // columns + (m // per_side + 0.5) / per_side) / cells[k, 3]
                _point_at(patches, k, u, v, s)
                _normal_at(patches, k, s, tangents)
                x, y, z = s[13] - grids[0, 0], s[14] - grids[0, 1], s[15] - grids[0, 2]
                facing = -(s[3] * x + s[4] * y + s[5] * z)
                square = x * x + y * y + z * z
                lobe = (light[0] * x + light[1] * y + light[2] * z) / math.sqrt(square)
                if facing <= 0.0 or lobe <= 0.0 or _blocked(patches, cuts, grids, 0, starts, items, x, y, z):
                    continue
                if light[4] != 1.0:
                    lobe = lobe ** light[4]
                total += facing * lobe / (square * math.sqrt(square))
            out[at] = light[3] * total / count if count > 0 else 0.0


@kernel
def open_to_dome(normals: F64, directions: F64, axis: F64, free: NDArray[np.bool_], out: F64) -> None:
    """Share of the dome's light that reaches each cell past all obstacles; the dome is the half space along `axis`."""
    frame = np.zeros((3, 3))
    for at in range(normals.shape[0]):
        _around(normals[at], _turn(at), frame)
        x = frame[0, 0] * axis[0] + frame[0, 1] * axis[1] + frame[0, 2] * axis[2]
        y = frame[1, 0] * axis[0] + frame[1, 1] * axis[1] + frame[1, 2] * axis[2]
        z = frame[2, 0] * axis[0] + frame[2, 1] * axis[1] + frame[2, 2] * axis[2]
        total = passed = 0
        for m in range(directions.shape[0]):
            if directions[m, 0] * x + directions[m, 1] * y + directions[m, 2] * z > 0.0:
                total += 1
                passed += free[at, m]
        out[at] = passed / total if total > 0 else 0.0


@kernel
def received_light(starts: I32, columns: I32, weights: NDArray[np.float32], sent: F64, out: F64) -> None:
    """The product of a sparse matrix of rows `starts` with `sent` (N, 3): what each cell gets of what the others send.

    As scipy's product in its order of summing, without the copy of all weights in float64 that scipy makes each time.
    """
    for row in range(out.shape[0]):
        red = green = blue = 0.0
        for i in range(starts[row], starts[row + 1]):
            weight, k = float(weights[i]), columns[i]
            red += weight * sent[k, 0]
            green += weight * sent[k, 1]
            blue += weight * sent[k, 2]
        out[row, 0], out[row, 1], out[row, 2] = red, green, blue


# -- meshes: what a ray tracer has found is given the same surface, light and truth -------------------------------


@kernel
def _lattice_3(i: int, j: int, k: int, seed: int) -> float:
    """As `_lattice`, in three dimensions."""
    layer = np.uint64(k) * np.uint64(0xA0761D6478BD642F)
    column, row = np.uint64(i) * np.uint64(0x9E3779B97F4A7C15), np.uint64(j) * np.uint64(0xD1B54A32D192ED03)
    h = _mix(column + row + layer + np.uint64(seed))
    return float(h >> np.uint64(11)) * (2.0 / 9007199254740992.0) - 1.0


@kernel
def _noise_3(x: float, y: float, z: float, seed: int, gradient: F64) -> float:
    """As `_noise`, in three dimensions: value, and its derivatives into gradient (3,)."""
    fx, fy, fz = math.floor(x), math.floor(y), math.floor(z)
    i, j, k = int(fx), int(fy), int(fz)
    x -= fx
    y -= fy
    z -= fz
    sx, dx = x * x * x * (x * (x * 6.0 - 15.0) + 10.0), 30.0 * x * x * (x * (x - 2.0) + 1.0)
    sy, dy = y * y * y * (y * (y * 6.0 - 15.0) + 10.0), 30.0 * y * y * (y * (y - 2.0) + 1.0)
    sz, dz = z * z * z * (z * (z * 6.0 - 15.0) + 10.0), 30.0 * z * z * (z * (z - 2.0) + 1.0)
    value = gradient[0] = gradient[1] = gradient[2] = 0.0
    for c in range(2):
        wz, gz = (sz, dz) if c == 1 else (1.0 - sz, -dz)
        for b in range(2):
            wy, gy = (sy, dy) if b == 1 else (1.0 - sy, -dy)
            for a in range(2):
                wx, gx = (sx, dx) if a == 1 else (1.0 - sx, -dx)
                corner = _lattice_3(i + a, j + b, k + c, seed)
                value += corner * wx * wy * wz
                gradient[0] += corner * gx * wy * wz
                gradient[1] += corner * wx * gy * wz
                gradient[2] += corner * wx * wy * gz
    return value


@kernel
def _solid_texture(materials: F64, m: int, s: F64, relief: F64, gradient: F64) -> None:
    """As `_texture`, of a pattern that goes through the body: its slope (3,) into `relief`, before it is laid flat."""
    kind, slope, seed = materials[m, 7], materials[m, 8], int(materials[m, 13])
    pitch = materials[m, 9]
    x, y, z = (s[13] + materials[m, 11]) / pitch, (s[14] + materials[m, 12]) / pitch, s[15] / pitch
    relief[0] = relief[1] = relief[2] = 0.0
    tone = 1.0
    if kind == GRAIN:
        _noise_3(x, y, z, seed, gradient)
        for c in range(3):
            relief[c] = 0.7 * slope * gradient[c]
        blotch = _noise_3(0.47 * x + 7.3, 0.47 * y + 1.9, 0.47 * z + 3.7, seed + 1, gradient)
        for c in range(3):
            relief[c] += 0.5 * slope * gradient[c]
        tone += materials[m, 10] * blotch
    elif kind == BRUSHED:
        _noise_3(0.04 * x, y, z, seed, gradient)
        relief[0], relief[1], relief[2] = 0.04 * slope * gradient[0], slope * gradient[1], slope * gradient[2]
    for c in range(3):
        s[6 + c] = materials[m, c] * tone
        s[9 + c] = materials[m, 3 + c]
    s[12] = materials[m, 6]


@kernel
def _apply_flaw(flaws: F64, i: int, s: F64, relief: F64) -> None:
    """A defect of a mesh, where the surface s[13:16] with normal s[3:6] lies in it: albedo, mark, slope added."""
    x, y, z = s[13] - flaws[i, 14], s[14] - flaws[i, 15], s[15] - flaws[i, 16]
    facing = s[3] * flaws[i, 23] + s[4] * flaws[i, 24] + s[5] * flaws[i, 25]
    above = x * flaws[i, 23] + y * flaws[i, 24] + z * flaws[i, 25]
    if facing < 0.6 or abs(above) > flaws[i, 26]:
        return
    s[19] = s[20] = 0.0
    _apply_defect(
        flaws, i, x * flaws[i, 17] + y * flaws[i, 18] + z * flaws[i, 19],
        x * flaws[i, 20] + y * flaws[i, 21] + z * flaws[i, 22], s,
    )  # fmt: skip
    for c in range(3):
        relief[c] += s[19] * flaws[i, 17 + c] + s[20] * flaws[i, 20 + c]


@kernel
def _mesh_surface(
    corners: F64, normals: F64, lifted: F64, owners: I32, materials: F64, flaws: F64, camera: F64,
    dx: float, dy: float, dz: float, k: int, s: F64, relief: F64, gradient: F64, start: F64,
) -> None:  # fmt: skip
    """As `_surface`, where a ray from the camera meets triangle k: the exact place in its plane. `start` (3,) is where
    the way to a light begins: on the round surface that the triangles stand for (Hanika, Ray Tracing Gems II, 2021)."""
    a, b, c = corners[k, 0], corners[k, 1], corners[k, 2]
    ax, ay, az = b[0] - a[0], b[1] - a[1], b[2] - a[2]
    bx, by, bz = c[0] - a[0], c[1] - a[1], c[2] - a[2]
    nx, ny, nz = ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx
    square = nx * nx + ny * ny + nz * nz
    ox, oy, oz = a[0] - camera[0, 0], a[1] - camera[0, 1], a[2] - camera[0, 2]
    t = (ox * nx + oy * ny + oz * nz) / (dx * nx + dy * ny + dz * nz)
    px, py, pz = t * dx - ox, t * dy - oy, t * dz - oz
    v = ((py * bz - pz * by) * nx + (pz * bx - px * bz) * ny + (px * by - py * bx) * nz) / square
    w = ((ay * pz - az * py) * nx + (az * px - ax * pz) * ny + (ax * py - ay * px) * nz) / square
    u = 1.0 - v - w
    s[13], s[14], s[15] = camera[0, 0] + t * dx, camera[0, 1] + t * dy, camera[0, 2] + t * dz
    length = 0.0
    for axis in range(3):
        s[3 + axis] = u * normals[k, 0, axis] + v * normals[k, 1, axis] + w * normals[k, 2, axis]
        length += s[3 + axis] * s[3 + axis]
        start[axis] = u * lifted[k, 0, axis] + v * lifted[k, 1, axis] + w * lifted[k, 2, axis]
    length = math.sqrt(length)
    for axis in range(3):
        s[3 + axis] /= length
    s[16], s[17], s[18], s[21], s[22] = t, owners[k, 1], 0.0, 0.0, 0.0
    s[24], s[25], s[26] = v, w, k
    _solid_texture(materials, owners[k, 0], s, relief, gradient)
    for i in range(flaws.shape[0]):
        _apply_flaw(flaws, i, s, relief)
    along = relief[0] * s[3] + relief[1] * s[4] + relief[2] * s[5]
    norm = 0.0
    for axis in range(3):
        s[axis] = s[3 + axis] - (relief[axis] - along * s[3 + axis])
        norm += s[axis] * s[axis]
    norm = 1.0 / math.sqrt(norm)
    for axis in range(3):
        s[axis] *= norm
    _lift(lifted, normals, k, u, v, w, start, gradient)
    flat = 2e-3 / math.sqrt(square)  # 2 um off the triangle, so that it does not shade itself
    start[0] += flat * nx
    start[1] += flat * ny
    start[2] += flat * nz


@kernel
def _lift(lifted: F64, normals: F64, k: int, u: float, v: float, w: float, start: F64, moved: F64) -> None:
    """Bring `start` out of the triangle of the lifted corners to their tangent planes, weighted as the corners are."""
    moved[0] = moved[1] = moved[2] = 0.0
    for i in range(3):
        below = square = 0.0
        for c in range(3):
            below += (start[c] - lifted[k, i, c]) * normals[k, i, c]
            square += normals[k, i, c] * normals[k, i, c]
        if below < 0.0:
            below = max(below, -0.1 * math.sqrt(square)) / square
            for c in range(3):
                moved[c] -= (u, v, w)[i] * below * normals[k, i, c]
    for c in range(3):
        start[c] += moved[c]


@kernel
def mesh_look_rows(
    patches: F64, materials: F64, paints: F64, defects: F64, placement: F64, camera: F64, rays: F64,
    corners: F64, normals: F64, lifted: F64, owners: I32, flaws: F64, hits: I32,
    looks: F64, shadow_starts: F64, row_0: int, row_1: int,
) -> None:  # fmt: skip
    """As `look_rows`, of a mesh of triangles: hits (H, W) is the triangle that each pixel's ray meets, or -1.

    corners, normals and lifted (T, 3, 3); owners (T, 2) material and face; flaws (D, FLAW_SIZE). shadow_starts
    (H, W, 3) is where the ways to lights begin. `patches` has no rows; the plate is as everywhere.
    """
    s, tangents, relief, gradient, start = (
        np.zeros(SURFACE_SIZE),
        np.zeros((2, 3)),
        np.zeros(3),
        np.zeros(3),
        np.zeros(3),
    )
    for row in range(row_0, row_1):
        for column in range(looks.shape[1]):
            dx = rays[0] + column * rays[3] + row * rays[6]
            dy = rays[1] + column * rays[4] + row * rays[7]
            dz = rays[2] + column * rays[5] + row * rays[8]
            k = hits[row, column]
            if k >= 0:
                _mesh_surface(corners, normals, lifted, owners, materials, flaws, camera, dx, dy, dz, k, s,
                              relief, gradient, start)  # fmt: skip
            elif dz < 0.0:
                t = -camera[0, 2] / dz
                _surface(patches, materials, paints, defects, placement, camera, dx, dy, dz, t, PLATE, s, tangents)
                s[22], s[26] = 0.0, corners.shape[0]
                start[0], start[1], start[2] = s[13], s[14], 2e-3
                k = PLATE
            else:
                k = NOTHING
            shorten = 1.0 / math.sqrt(dx * dx + dy * dy + dz * dz)
            s[23] = shorten * shorten * shorten * shorten
            for n in range(SURFACE_SIZE):
                looks[row, column, n] = s[n]
            looks[row, column, SURFACE_SIZE] = -dx * shorten
            looks[row, column, SURFACE_SIZE + 1] = -dy * shorten
            looks[row, column, SURFACE_SIZE + 2] = -dz * shorten
            looks[row, column, SURFACE_SIZE + 3] = k
            for c in range(3):
                shadow_starts[row, column, c] = start[c]
