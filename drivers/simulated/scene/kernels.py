"""Compiled ray tracing and shading of a part: one ray per pixel, closed-form patches, exact shadows.

Everything is in the part frame, millimetres, float64. Every ray begins at a known point (camera or
light), so candidate patches come from a grid over the directions seen from that point.

Row layouts (written by `pack.py`, read only here):
patch     0:3 origin, 3:6 U, 6:9 V, 9:12 W (unit axes), 12 kind, 13:18 shape, 19 outward sign, 20 material,
          21:23 cut-outs first/count, 23:25 defects, 25 face, 26:28 paints
material  0:3 albedo, 3:6 F0, 6 alpha, 7 texture, 8 slope, 9 cell mm, 10 mottle, 11 u phase, 12 v phase, 13 seed
grid      0:3 origin, 3:6 right, 6:9 up, 9:12 ahead, 12 x_lo, 13 y_lo, 14 cells per unit x, 15 per unit y, 16 cells
surface   0:3 normal with relief, 3:6 geometric normal, 6:9 albedo, 9:12 F0, 12 alpha, 13:16 point, 16 t,
          17 face, 18 in a defect, 19:21 slope dh/du dh/dv
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from drivers.simulated.scene.jit import kernel

F64 = NDArray[np.float64]
I32 = NDArray[np.int32]

RECT, DISC, CYLINDER, CONE, SPHERE = 0, 1, 2, 3, 4
CUT_RECT, CUT_CIRCLE, CUT_HALF_PLANE = 0, 1, 2
PLAIN, GRAIN, TURNED, BRUSHED = 0, 1, 2, 3
GROOVE, BOWL, STAIN, TINT = 0, 1, 2, 3
SURFACE_SIZE = 24
PLATE = -1
_FAR = 1e30
_SHADOW_END = 1.0 - 2e-5  # of the way from light to point: 5 um at 250 mm
_TWO_PI = 2.0 * math.pi


@kernel
def _mix(value: np.uint64) -> np.uint64:
    """The finaliser of splitmix64: a counter goes in, 64 well mixed bits come out."""
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


@kernel
def _lattice(i: int, j: int, seed: int) -> float:
    """A fixed random number in -1..1 at a lattice point."""
    h = _mix(np.uint64(i) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(seed))
    h = _mix(h + np.uint64(j) * np.uint64(0xD1B54A32D192ED03))
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


@kernel
def _inside_bounds(patch: F64, cuts: F64, u: float, v: float) -> bool:
    """Whether a planar patch has material at (u, v)."""
    if patch[12] == RECT:
        if u < patch[13] or u > patch[14] or v < patch[15] or v > patch[16]:
            return False
    else:
        rr = u * u + v * v
        if rr < patch[13] * patch[13] or rr > patch[14] * patch[14]:
            return False
    first = int(patch[21])
    for i in range(first, first + int(patch[22])):
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


@kernel
def _hit_round(patch: F64, ou: float, ov: float, ow: float, du: float, dv: float, dw: float) -> float:
    """First front-facing hit of a cylinder, cone or sphere, ray in its local axes; _FAR if none."""
    kind, sign = patch[12], patch[19]
    s = ds = slope = 0.0
    lo, hi = patch[14], patch[15]
    if kind == CYLINDER:
        a = du * du + dv * dv
        b = ou * du + ov * dv
        c = ou * ou + ov * ov - patch[13] * patch[13]
    elif kind == SPHERE:
        a = du * du + dv * dv + dw * dw
        b = ou * du + ov * dv + ow * dw
        c = ou * ou + ov * ov + ow * ow - patch[13] * patch[13]
    else:
        lo, hi = patch[15], patch[16]
        slope = (patch[14] - patch[13]) / (hi - lo)
        s, ds = patch[13] + slope * (ow - lo), slope * dw
        a = du * du + dv * dv - ds * ds
        b = ou * du + ov * dv - s * ds
        c = ou * ou + ov * ov - s * s
    inner = b * b - a * c
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
        if kind == CYLINDER and patch[17] < math.pi:
            turn = math.atan2(ov + t * dv, ou + t * du) - patch[16]
            turn -= _TWO_PI * math.floor(turn / _TWO_PI + 0.5)
            if abs(turn) > patch[17]:
                continue
        best = t
    return best


@kernel
def _hit(patch: F64, cuts: F64, ox: float, oy: float, oz: float, dx: float, dy: float, dz: float) -> float:
    """Ray parameter of the first front-facing hit of one patch, _FAR if it is missed."""
    px, py, pz = ox - patch[0], oy - patch[1], oz - patch[2]
    dw = dx * patch[9] + dy * patch[10] + dz * patch[11]
    ow = px * patch[9] + py * patch[10] + pz * patch[11]
    planar = patch[12] <= DISC
    if planar and dw >= 0.0:
        return _FAR
    du = dx * patch[3] + dy * patch[4] + dz * patch[5]
    dv = dx * patch[6] + dy * patch[7] + dz * patch[8]
    ou = px * patch[3] + py * patch[4] + pz * patch[5]
    ov = px * patch[6] + py * patch[7] + pz * patch[8]
    if planar:
        t = -ow / dw
        if t > 0.0 and _inside_bounds(patch, cuts, ou + t * du, ov + t * dv):
            return t
        return _FAR
    return _hit_round(patch, ou, ov, ow, du, dv, dw)


@kernel
def _cell(grid: F64, dx: float, dy: float, dz: float) -> int:
    """Grid cell in which a direction from the grid's origin lies; -1 outside."""
    z = dx * grid[9] + dy * grid[10] + dz * grid[11]
    if z <= 0.0:
        return -1
    x = ((dx * grid[3] + dy * grid[4] + dz * grid[5]) / z - grid[12]) * grid[14]
    y = ((dx * grid[6] + dy * grid[7] + dz * grid[8]) / z - grid[13]) * grid[15]
    n = int(grid[16])
    if x < 0.0 or y < 0.0 or x >= n or y >= n:
        return -1
    return int(y) * n + int(x)


@kernel
def _trace(
    patches: F64, cuts: F64, grid: F64, starts: I32, items: I32, dx: float, dy: float, dz: float
) -> tuple[float, int]:
    """Nearest hit of a ray from the grid's origin: (t, patch); the fixture plate z = 0 is PLATE."""
    best, found = _FAR, PLATE
    cell = _cell(grid, dx, dy, dz)
    if cell >= 0:
        for i in range(starts[cell], starts[cell + 1]):
            t = _hit(patches[items[i]], cuts, grid[0], grid[1], grid[2], dx, dy, dz)
            if t < best:
                best, found = t, items[i]
    if dz < 0.0 and -grid[2] / dz < best:
        best, found = -grid[2] / dz, PLATE
    return best, found


@kernel
def _blocked(
    patches: F64, cuts: F64, grid: F64, starts: I32, items: I32, dx: float, dy: float, dz: float
) -> bool:
    """Whether something stands between the grid's origin and the point at t = 1."""
    cell = _cell(grid, dx, dy, dz)
    if cell < 0:
        return False
    for i in range(starts[cell], starts[cell + 1]):
        if _hit(patches[items[i]], cuts, grid[0], grid[1], grid[2], dx, dy, dz) < _SHADOW_END:
            return True
    return False


@kernel
def _defect_relief(defect: F64, x: float, y: float, s: F64) -> None:
    """Add a groove's or bowl's slope; x, y are its own axes in half lengths, inside its footprint."""
    depth, half_length, half_width = defect[7], defect[5], defect[6]
    if defect[0] == GROOVE:
        bend = defect[9]
        y -= bend * (x * x - 1.0)
        g = (1.0 - y * y) * (1.0 - y * y)
        g_y = -4.0 * y * (1.0 - y * y)
        taper, taper_x = 1.0 - x**4, -4.0 * x**3
        h_x = -depth * (g_y * (-2.0 * bend * x) * taper + g * taper_x) / half_length
        h_y = -depth * g_y * taper / half_width
    else:
        q = 1.0 - x * x - y * y
        h_x, h_y = 4.0 * depth * q * x / half_length, 4.0 * depth * q * y / half_width
    s[19] += h_x * defect[3] - h_y * defect[4]
    s[20] += h_x * defect[4] + h_y * defect[3]


@kernel
def _apply_defect(defect: F64, du: float, dv: float, s: F64) -> None:
    """Change slope or albedo in `s` if the point (du, dv) from the defect's centre is in its footprint."""
    x = (du * defect[3] + dv * defect[4]) / defect[5]
    y = (dv * defect[3] - du * defect[4]) / defect[6]
    kind = defect[0]
    if kind == GROOVE:
        if abs(x) < 1.0 and abs(y - defect[9] * (x * x - 1.0)) < 1.0:
            s[18] = 1.0
            _defect_relief(defect, x, y, s)
        return
    radius = math.sqrt(x * x + y * y)
    if kind == BOWL:
        if radius < 1.0:
            s[18] = 1.0
            _defect_relief(defect, x, y, s)
        return
    angle = math.atan2(y, x)
    radius /= 0.86 + 0.09 * math.cos(2.0 * angle + defect[9]) + 0.05 * math.cos(3.0 * angle + defect[10])
    if radius < 1.0:
        s[18] = 1.0
        edge = min(1.0, (1.0 - radius) / 0.25)
        weight = defect[8] * edge * edge * (3.0 - 2.0 * edge)
        for c in range(3):
            s[6 + c] *= 1.0 + weight * defect[11 + c]


@kernel
def _texture(material: F64, u: float, v: float, s: F64) -> None:
    """Set albedo, F0 and alpha from the material and its micro-relief's slope at (u, v)."""
    kind, slope, seed = material[7], material[8], int(material[13])
    pitch = material[9]
    x, y = (u + material[11]) / pitch, (v + material[12]) / pitch
    s[19] = s[20] = 0.0
    if kind == GRAIN:
        _, gx, gy = _noise(x, y, seed)
        _, hx, hy = _noise(0.47 * x, 0.47 * y, seed + 1)
        s[19], s[20] = slope * (0.7 * gx + 0.5 * hx), slope * (0.7 * gy + 0.5 * hy)
    elif kind == TURNED:
        radius = max(math.sqrt(u * u + v * v), 1e-9)
        _, g, _ = _noise(radius / pitch + material[11], 0.5, seed)
        g = slope * (0.6 * g + 0.8 * math.cos(_TWO_PI * radius / (1.7 * pitch) + material[12]))
        g *= min(1.0, radius / pitch)  # no spike where the rings close
        s[19], s[20] = g * u / radius, g * v / radius
    elif kind == BRUSHED:
        _, gy, gx = _noise(y, 0.04 * x, seed)
        s[19], s[20] = 0.04 * slope * gx, slope * gy
    blotch, _, _ = _noise(0.31 * x + 7.3, 0.31 * y + 1.9, seed + 2)
    tone = 1.0 + material[10] * blotch
    for c in range(3):
        s[6 + c] = material[c] * tone
        s[9 + c] = material[3 + c]
    s[12] = material[6]


@kernel
def _frame_at(patch: F64, p: F64, s: F64, tangents: F64) -> tuple[float, float]:
    """Geometric normal into s[3:6], unit tangents along u and v, and (u, v) mm at the point p."""
    x, y, z = p[0] - patch[0], p[1] - patch[1], p[2] - patch[2]
    lu = x * patch[3] + y * patch[4] + z * patch[5]
    lv = x * patch[6] + y * patch[7] + z * patch[8]
    lw = x * patch[9] + y * patch[10] + z * patch[11]
    kind = patch[12]
    if kind <= DISC:
        for c in range(3):
            s[3 + c], tangents[0, c], tangents[1, c] = patch[9 + c], patch[3 + c], patch[6 + c]
        return lu, lv
    radius = max(math.sqrt(lu * lu + lv * lv), 1e-12)
    cu, cv = lu / radius, lv / radius
    radial, axial, v = 1.0, 0.0, lw
    if kind == SPHERE:
        radial, axial = radius / patch[13], lw / patch[13]
        v = patch[13] * math.asin(max(-1.0, min(1.0, axial)))
    elif kind == CONE:
        slope = (patch[14] - patch[13]) / (patch[16] - patch[15])
        scale = 1.0 / math.sqrt(1.0 + slope * slope)
        radial, axial = scale, -slope * scale
        v = (lw - patch[15]) / scale
    turn = math.atan2(lv, lu)
    if kind == CYLINDER:
        turn -= patch[16]
        turn = patch[16] + turn - _TWO_PI * math.floor(turn / _TWO_PI + 0.5)
    size = patch[13]
    sign = patch[19]
    for c in range(3):
        out = cu * patch[3 + c] + cv * patch[6 + c]
        s[3 + c] = sign * (radial * out + axial * patch[9 + c])
        tangents[0, c] = cu * patch[6 + c] - cv * patch[3 + c]
        tangents[1, c] = radial * patch[9 + c] - axial * out
    return turn * size, v


@kernel
def _surface(
    patches: F64, materials: F64, paints: F64, defects: F64, plate: F64, placement: F64,
    grid: F64, dx: float, dy: float, dz: float, t: float, k: int, s: F64, tangents: F64,
) -> None:  # fmt: skip
    """Fill `s` with all that is known of the surface where a ray from the grid's origin ends."""
    p = s[13:16]
    p[0], p[1], p[2] = grid[0] + t * dx, grid[1] + t * dy, grid[2] + t * dz
    s[16], s[17], s[18] = t, 0.0, 0.0
    if k == PLATE:
        s[3] = s[4] = 0.0
        s[5] = 1.0
        u = placement[0] * p[0] - placement[1] * p[1] + placement[2]
        v = placement[1] * p[0] + placement[0] * p[1] + placement[3]
        for c in range(3):
            tangents[0, c] = tangents[1, c] = 0.0
        tangents[0, 0], tangents[0, 1] = placement[0], -placement[1]
        tangents[1, 0], tangents[1, 1] = placement[1], placement[0]
        _texture(plate, u, v, s)
    else:
        patch = patches[k]
        s[17] = patch[25]
        u, v = _frame_at(patch, p, s, tangents)
        _texture(materials[int(patch[20])], u, v, s)
        first = int(patch[26])
        for i in range(first, first + int(patch[27])):
            if paints[i, 0] < u < paints[i, 1] and paints[i, 2] < v < paints[i, 3]:
                for c in range(3):
                    s[6 + c] = paints[i, 4 + c]
                    s[9 + c] = 0.04
        first = int(patch[23])
        for i in range(first, first + int(patch[24])):
            along = u - defects[i, 1]
            if patch[12] >= CYLINDER:
                round_mm = _TWO_PI * patch[13]
                along -= round_mm * math.floor(along / round_mm + 0.5)
            _apply_defect(defects[i], along, v - defects[i, 2], s)
    norm = math.sqrt(1.0 + s[19] * s[19] + s[20] * s[20])
    for c in range(3):
        s[c] = (s[3 + c] - s[19] * tangents[0, c] - s[20] * tangents[1, c]) / norm


@kernel
def _reflectance(s: F64, lx: float, ly: float, lz: float, vx: float, vy: float, vz: float, c: int) -> float:
    """BRDF times cosine for colour c: Lambert plus GGX with Smith's masking and Schlick's Fresnel."""
    nl = s[0] * lx + s[1] * ly + s[2] * lz
    if nl <= 0.0:
        return 0.0
    nv = max(s[0] * vx + s[1] * vy + s[2] * vz, 1e-3)
    hx, hy, hz = lx + vx, ly + vy, lz + vz
    norm = 1.0 / math.sqrt(hx * hx + hy * hy + hz * hz)
    nh = (s[0] * hx + s[1] * hy + s[2] * hz) * norm
    vh = (vx * hx + vy * hy + vz * hz) * norm
    aa = s[12] * s[12]
    q = nh * nh * (aa - 1.0) + 1.0
    distribution = aa / (math.pi * q * q)
    masking = nl * math.sqrt(aa + (1.0 - aa) * nv * nv) + nv * math.sqrt(aa + (1.0 - aa) * nl * nl)
    fresnel = s[9 + c] + (1.0 - s[9 + c]) * (1.0 - vh) ** 5
    return nl * (s[6 + c] / math.pi + 0.5 * distribution * fresnel / masking)


@kernel
def _point_light(
    patches: F64, cuts: F64, light: F64, grid: F64, starts: I32, items: I32, s: F64, view: F64, weights: F64
) -> float:
    """Signal from one point light: light = 0:3 axis, 3 power, 4 lobe exponent; 0 in shadow."""
    x, y, z = s[13] - grid[0], s[14] - grid[1], s[15] - grid[2]
    if s[3] * x + s[4] * y + s[5] * z >= 0.0:
        return 0.0
    distance = math.sqrt(x * x + y * y + z * z)
    lobe = (light[0] * x + light[1] * y + light[2] * z) / distance
    if lobe <= 0.0 or _blocked(patches, cuts, grid, starts, items, x, y, z):
        return 0.0
    lx, ly, lz = -x / distance, -y / distance, -z / distance
    signal = 0.0
    for c in range(3):
        if weights[c] > 0.0:
            signal += weights[c] * _reflectance(s, lx, ly, lz, view[0], view[1], view[2], c)
    return signal * light[3] * lobe ** light[4] / (distance * distance)


@kernel
def _dome(
    patches: F64, cuts: F64, grids: F64, starts: I32, items: I32, s: F64, view: F64, ahead: F64, weights: F64
) -> float:
    """Signal from a large dome round the optical axis: half of it unshadowed, half through its samples."""
    nv = -(s[0] * ahead[0] + s[1] * ahead[1] + s[2] * ahead[2])
    seen = total = 1e-9
    for i in range(grids.shape[0]):
        x, y, z = s[13] - grids[i, 0], s[14] - grids[i, 1], s[15] - grids[i, 2]
        cosine = -(s[3] * x + s[4] * y + s[5] * z) / math.sqrt(x * x + y * y + z * z) + 0.25
        if cosine <= 0.0:
            continue
        total += cosine
        if not _blocked(patches, cuts, grids[i], starts[i], items, x, y, z):
            seen += cosine
    open_share = 0.4 + 0.6 * seen / total
    twice_nv = 2.0 * (s[0] * view[0] + s[1] * view[1] + s[2] * view[2])
    mirror = 0.0
    for c in range(3):
        mirror -= (twice_nv * s[c] - view[c]) * ahead[c]
    irradiance, mirrored = 0.5 * (1.0 + nv), 0.5 * (1.0 + mirror)
    signal = 0.0
    for c in range(3):
        signal += weights[c] * (s[6 + c] * irradiance + 0.5 * s[9 + c] * mirrored)
    return signal * open_share / math.pi


@kernel
def radiance_rows(
    patches: F64, cuts: F64, materials: F64, paints: F64, defects: F64, plate: F64, placement: F64,
    camera: F64, camera_starts: I32, camera_items: I32, rays: F64, size: I32, light: F64,
    grids: F64, starts: I32, items: I32, responses: F64, is_dome: bool, out: NDArray[np.float32], row_0: int, row_1: int,
) -> None:  # fmt: skip
    """Signal of one light at level 1 into out[row_0:row_1], electrons per microsecond.

    rays: 0:3 direction at pixel (0, 0), 3:6 step per column, 6:9 step per row (unit depth); size: column
    and row of pixel (0, 0) on the sensor; responses (4, 3): colour weights by (row & 1) * 2 + (column & 1).
    """
    s, tangents, view = np.zeros(SURFACE_SIZE), np.zeros((2, 3)), np.zeros(3)
    ahead = camera[9:12]
    for row in range(row_0, row_1):
        for column in range(out.shape[1]):
            dx = rays[0] + column * rays[3] + row * rays[6]
            dy = rays[1] + column * rays[4] + row * rays[7]
            dz = rays[2] + column * rays[5] + row * rays[8]
            t, k = _trace(patches, cuts, camera, camera_starts, camera_items, dx, dy, dz)
            if t >= _FAR:
                out[row, column] = 0.0
                continue
            _surface(patches, materials, paints, defects, plate, placement, camera, dx, dy, dz, t, k, s, tangents)
            length = math.sqrt(dx * dx + dy * dy + dz * dz)
            view[0], view[1], view[2] = -dx / length, -dy / length, -dz / length
            weights = responses[((row + size[1]) & 1) * 2 + ((column + size[0]) & 1)]
            if is_dome:
                signal = light[3] * _dome(patches, cuts, grids, starts, items, s, view, ahead, weights)
            else:
                signal = _point_light(patches, cuts, light, grids[0], starts[0], items, s, view, weights)
            # natural vignetting: the direction has unit depth, so the axis angle's cosine is 1 / length
            out[row, column] = signal / (length * length * length * length)


@kernel
def truth_rows(
    patches: F64, cuts: F64, materials: F64, paints: F64, defects: F64, plate: F64, placement: F64,
    camera: F64, camera_starts: I32, camera_items: I32, rays: F64, normals: NDArray[np.float32],
    albedo: NDArray[np.float32], depth: NDArray[np.float32], faces: NDArray[np.int16], marks: NDArray[np.bool_],
    row_0: int, row_1: int,
) -> None:  # fmt: skip
    """Normals (camera frame), albedo, depth along the axis, face and defect footprint for some rows."""
    s, tangents = np.zeros(SURFACE_SIZE), np.zeros((2, 3))
    for row in range(row_0, row_1):
        for column in range(depth.shape[1]):
            dx = rays[0] + column * rays[3] + row * rays[6]
            dy = rays[1] + column * rays[4] + row * rays[7]
            dz = rays[2] + column * rays[5] + row * rays[8]
            t, k = _trace(patches, cuts, camera, camera_starts, camera_items, dx, dy, dz)
            if t >= _FAR:
                continue
            _surface(patches, materials, paints, defects, plate, placement, camera, dx, dy, dz, t, k, s, tangents)
            for c in range(3):
                albedo[c, row, column] = s[6 + c]
            normals[0, row, column] = s[0] * camera[3] + s[1] * camera[4] + s[2] * camera[5]
            normals[1, row, column] = s[0] * camera[6] + s[1] * camera[7] + s[2] * camera[8]
            normals[2, row, column] = -(s[0] * camera[9] + s[1] * camera[10] + s[2] * camera[11])
            depth[row, column] = t
            faces[row, column] = int(s[17])
            marks[row, column] = s[18] > 0.0


@kernel
def shadow_rows(
    patches: F64, cuts: F64, camera: F64, camera_starts: I32, camera_items: I32, rays: F64,
    grid: F64, starts: I32, items: I32, out: NDArray[np.bool_], row_0: int, row_1: int,
) -> None:  # fmt: skip
    """True where the geometric surface turns away from the light or something stands before it."""
    s, tangents = np.zeros(SURFACE_SIZE), np.zeros((2, 3))
    p = np.zeros(3)
    for row in range(row_0, row_1):
        for column in range(out.shape[1]):
            dx = rays[0] + column * rays[3] + row * rays[6]
            dy = rays[1] + column * rays[4] + row * rays[7]
            dz = rays[2] + column * rays[5] + row * rays[8]
            t, k = _trace(patches, cuts, camera, camera_starts, camera_items, dx, dy, dz)
            if t >= _FAR:
                out[row, column] = True
                continue
            p[0], p[1], p[2] = camera[0] + t * dx, camera[1] + t * dy, camera[2] + t * dz
            s[3] = s[4] = 0.0
            s[5] = 1.0
            if k != PLATE:
                _frame_at(patches[k], p, s, tangents)
            x, y, z = p[0] - grid[0], p[1] - grid[1], p[2] - grid[2]
            away = s[3] * x + s[4] * y + s[5] * z >= 0.0
            out[row, column] = away or _blocked(patches, cuts, grid, starts, items, x, y, z)


@kernel
def fill_grid(
    patches: F64, corners: F64, grid: F64, starts: I32, items: I32, write: bool
) -> int:
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
