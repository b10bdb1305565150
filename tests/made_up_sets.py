"""Small made-up sets in every layout, written by hand here and not by the code that is tested."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np

SIZE = (60, 72)  # H, W, with which training goes fast
N_TRAIN, N_TEST = 25, 4  # N_TEST good and as many defective ones


def put(path: Path, picture: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), picture)
    return path


def plate(seed: int, view: int = 0, hole: bool = False, size: tuple[int, int] = SIZE) -> np.ndarray:
    """A bright plate on a dark ground, with noise; another view shows it elsewhere."""
    rng = np.random.default_rng(1000 * view + seed)
    picture = np.full((*size, 3), 60, np.float32)
    cv2.rectangle(picture, (16 + 4 * view, 12), (64, 52 - 4 * view), (150, 170, 190), -1)
    if hole:
        cv2.circle(picture, (48, 34), 6, (20, 20, 20), -1)
    return np.clip(picture + rng.normal(0, 3, picture.shape), 0, 255).astype(np.uint8)


def mask() -> np.ndarray:
    return cv2.circle(np.zeros(SIZE, np.uint8), (48, 34), 6, 255, -1)


def normals(seed: int, view: int = 0, hole: bool = False) -> np.ndarray:
    """A plate whose edges slope, in 8 bits, as OpenCV orders channels. Parts alike to a degree are alike to within what
    rounding does to their scores, and the exporter's gate refuses the model."""
    rng = np.random.default_rng(77 + 1000 * view + seed)
    n = np.zeros((*SIZE, 3))
    n[..., 2] = 1.0
    n[:, 14:20, 0], n[:, 60:66, 0] = -0.5, 0.5
    if hole:
        n[28:40, 42:48, 0], n[28:40, 48:54, 0] = 0.6, -0.6
    n[..., :2] += rng.normal(0, 0.1, (*SIZE, 2))
    n /= np.linalg.norm(n, axis=-1, keepdims=True)
    return np.round((n + 1) * 127.5).astype(np.uint8)[..., ::-1]


def mvtec(root: Path, n_train: int = N_TRAIN, n_test: int = N_TEST) -> Path:
    folder = root / "washer"
    for n in range(n_train):
        put(folder / "train" / "good" / f"{n:03}.png", plate(n))
    for n in range(n_test):
        put(folder / "test" / "good" / f"{n:03}.png", plate(50 + n))
        put(folder / "test" / "hole" / f"{n:03}.png", plate(70 + n, hole=True))
        put(folder / "ground_truth" / "hole" / f"{n:03}_mask.png", mask())
    return folder


def visa(root: Path, n_train: int = N_TRAIN, n_test: int = N_TEST) -> Path:
    rows, kinds = ["object,split,label,image,mask"], ["image,label,mask"]
    for n in range(n_train + n_test):
        image = f"candle/Data/Images/Normal/{n:04}.png"
        put(root / image, plate(n))
        rows.append(f"candle,{'train' if n < n_train else 'test'},normal,{image},")
        kinds.append(f"{image},normal,")
    for n in range(n_test):
        image, marked = f"candle/Data/Images/Anomaly/{n:03}.png", f"candle/Data/Masks/Anomaly/{n:03}.png"
        put(root / image, plate(70 + n, hole=True))
        put(root / marked, (mask() > 0).astype(np.uint8) * np.uint8(n + 1))  # a mask marks a kind by its number
        rows.append(f"candle,test,anomaly,{image},{marked}")
        kinds.append(f'{image},"{"bent" if n else "bent, melt"}",{marked}')
    (root / "split_csv").mkdir()
    (root / "split_csv" / "1cls.csv").write_text("\n".join([*rows, "pcb1,train,normal,pcb1/Data/Images/Normal/0.JPG,"]))
    (root / "candle" / "image_anno.csv").write_text("\n".join(kinds))
    return root / "candle"


def real_iad(root: Path, n_train: int = N_TRAIN, n_test: int = N_TEST) -> Path:
    """Two views; the hole shows in C1 alone."""
    folder = root / "realiad_1024" / "toy"
    splits: dict[str, list[dict]] = {"train": [], "test": []}

    def add(split: str, number: int, code: str, hole: bool) -> None:
        sub = "OK" if code == "OK" else f"NG/{code}"
        for view in (1, 2):
            stem = f"{sub}/S{number:04}/toy_{number:04}_{sub.replace('/', '_')}_C{view}_2023"
            shown = hole and view == 1
            put(folder / f"{stem}.png", plate(number, view, shown))
            if shown:
                put(folder / f"{stem}_mask.png", mask())
            splits[split].append({
                "category": "toy", "anomaly_class": code if shown else "OK", "image_path": f"{stem}.png",
                "mask_path": f"{stem}_mask.png" if shown else None,
            })  # fmt: skip

    for n in range(n_train):
        add("train", n + 1, "OK", hole=False)
    for n in range(n_test):
        add("test", 50 + n, "OK", hole=False)
        add("test", 70 + n, "AK", hole=True)
    (root / "realiad_jsons").mkdir()
    text = json.dumps({"meta": {"prefix": "toy/", "normal_class": "OK"}, **splits})
    (root / "realiad_jsons" / "toy.json").write_text(text)
    return folder


def real_iad_d3(root: Path, n_train: int = N_TRAIN, n_test: int = N_TEST) -> Path:
    """The defect's folders number their parts from 1 too."""
    folder = root / "limit-switch"
    for split, kind, first, count in (
        ("train", "GOOD", 1, n_train),
        ("test", "GOOD", 1, n_test),
        ("test", "hole", 1, n_test),
    ):
        for n in range(first, first + count):
            seed, hole = n + {"train": 0, "test": 50}[split] + 20 * (kind == "hole"), kind == "hole"
            home = folder / split / kind
            put(home / "rgb" / f"S{n:03}" / f"S{n:03}_L01.jpg", plate(900 + seed))  # under one light: not the picture
            put(home / "rgb" / f"S{n:03}" / f"S{n:03}_L05_RGB.jpg", plate(seed, hole=hole))
            put(home / "ps" / f"S{n:03}.png", normals(seed, hole=hole))
            if hole:
                put(home / "gt" / f"S{n:03}.png", mask())
    return folder


def real_iad_mvn(root: Path, n_train: int = N_TRAIN, n_test: int = N_TEST) -> Path:
    """Two views; the hole shows in `top` alone."""
    folder = root / "knob_cap"
    for split, kind, first, count in (
        ("train", "good", 1, n_train),
        ("test", "good", 51, n_test),
        ("test", "hole", 71, n_test),
    ):
        for n in range(first, first + count):
            for number, view in enumerate(("left", "top")):
                hole = kind == "hole" and view == "top"
                at = f"P{n:03}/{view}.png"
                put(folder / split / kind / "rgb" / at, plate(n, number, hole))
                put(folder / split / kind / "nv" / at, normals(n, number, hole))
                if hole:
                    put(folder / split / kind / "gt" / at, mask())
    return folder


MAKERS = {
    "mvtec": mvtec,
    "visa": visa,
    "real-iad": real_iad,
    "real-iad-d3": real_iad_d3,
    "real-iad-mvn": real_iad_mvn,
}
