"""Sets from elsewhere: each layout is recognised, and what we export is imported again as it was."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from made_up_sets import MAKERS, mask, mvtec, normals, plate, put, real_iad, real_iad_d3, real_iad_mvn, visa

from station.errors import BadInput
from station.teach.exchange import export_to, import_from
from station.teach.layouts.decoded import is_linear, read_linear, read_normals
from station.teach.layouts.exported import FILE as SIDECAR
from station.teach.layouts.known import LAYOUTS, layout_of, read_any
from station.teach.layouts.source import SourceSet

Content = dict[tuple[str, str], tuple[str, str, dict[str, bytes]]]


def content(found: SourceSet) -> Content:
    """Part and view -> split, kind, and the bytes of every file."""
    return {
        (p.part, p.view): (p.split, p.kind, {what: path.read_bytes() for what, path in p.files}) for p in found.pictures
    }


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("made")
    return {name: make(root / name, 6, 2) for name, make in MAKERS.items()}


@pytest.mark.parametrize("name", MAKERS)
def test_each_layout_is_recognised_from_its_path_alone(made: dict[str, Path], name: str) -> None:
    layout = layout_of(made[name])
    assert layout is not None
    assert layout.name == name


@pytest.mark.parametrize("name", MAKERS)
def test_an_import_has_all_pictures_masks_views_and_splits(made: dict[str, Path], name: str, tmp_path: Path) -> None:
    report = import_from(name, made[name], tmp_path / "set")
    views = {"real-iad": ("C1", "C2"), "real-iad-d3": ("top",), "real-iad-mvn": ("left", "top")}.get(name, ("view",))
    assert report.views == views
    index = json.loads((tmp_path / "set" / "index.json").read_text())
    items = index["items"]
    assert len(items) == 10 * len(views)
    parts = {(i["part"], i["split"], "good" if i["kind"] == "good" else "defective") for i in items}
    counts = {key: sum((split, kind) == key for _, split, kind in parts) for key in {p[1:] for p in parts}}
    assert counts == {("train", "good"): 5, ("calibrate", "good"): 1, ("test", "good"): 2, ("test", "defective"): 2}
    assert sum(i["mask"] is not None for i in items) == 2
    assert all((i["normal"] is not None) == LAYOUTS[name].has_normals for i in items)
    hole = next(i for i in items if i["mask"])
    marked = cv2.imread(str(tmp_path / "set" / hole["mask"]), cv2.IMREAD_GRAYSCALE) > 0
    assert marked.mean() == pytest.approx((mask() > 0).mean(), rel=0.25)


@pytest.mark.parametrize("name", MAKERS)
def test_what_was_imported_is_exported_in_its_own_layout_byte_for_byte(
    made: dict[str, Path], name: str, tmp_path: Path
) -> None:
    first = import_from(name, made[name], tmp_path / "set")
    again = export_to(first.folder, name, tmp_path / "out")
    before = content(read_any(made[name]))
    assert content(read_any(again.folder)) == before
    import_from(name, again.folder, tmp_path / "set-again")
    assert content(read_any(tmp_path / "set-again")) == before


@pytest.mark.parametrize("name", MAKERS)
def test_an_exported_set_is_read_by_the_layout_alone(made: dict[str, Path], name: str, tmp_path: Path) -> None:
    """Programs of others do not know the file beside the set: without it, the same files in the same splits."""
    again = export_to(made[name], name, tmp_path)
    (again.folder / SIDECAR).unlink()
    one, other = read_any(made[name]), read_any(again.folder)
    bare = [sorted((c[0], c[1], sorted(c[2].items())) for c in content(s).values()) for s in (one, other)]
    assert len(one.views) == len(other.views)
    assert [(s, sorted(f)) for s, _, f in bare[0]] == [(s, sorted(f)) for s, _, f in bare[1]]


@pytest.mark.parametrize("name", ["real-iad", "real-iad-mvn"])
def test_a_set_keeps_its_own_names_through_another_layout(made: dict[str, Path], name: str, tmp_path: Path) -> None:
    other = {"real-iad": "real-iad-mvn", "real-iad-mvn": "real-iad"}[name]
    through = export_to(made[name], other, tmp_path)
    expected = content(read_any(made[name]))
    if not LAYOUTS[other].has_normals:
        assert "no place for normals" in through.as_text()
        expected = {k: (s, d, {w: b for w, b in f.items() if w != "normal"}) for k, (s, d, f) in expected.items()}
    assert content(read_any(through.folder)) == expected


@pytest.fixture
def ours(tmp_path: Path) -> Path:
    """A data set as our own rig makes it: linear pictures, packed normals, two views, a held-out part."""
    rng, folder, items = np.random.default_rng(1), tmp_path / "ours", []
    for n, (split, kind) in enumerate((("train", "good"), ("calibrate", "good"), ("test", "good"), ("test", "dent"))):
        for view in ("left", "top"):
            at = f"{split}/{kind}"
            item = {"part": f"P-{n}", "view": view, "split": split, "kind": kind, "mask": None}
            rgb = rng.integers(0, 65535, (60, 90, 3), dtype=np.uint16)
            vectors = np.dstack([rng.normal(0, 0.2, (60, 90)), rng.normal(0, 0.2, (60, 90)), np.ones((60, 90))])
            vectors /= np.linalg.norm(vectors, axis=-1, keepdims=True)
            counts = (np.round(vectors * 32767) + 32768).astype(np.uint16)
            counts[:4] = 32768  # not observable
            item["rgb"] = f"{at}/rgb/P-{n}_{view}.png"
            item["normal"] = f"{at}/normal/P-{n}_{view}.png"
            put(folder / item["rgb"], rgb)
            put(folder / item["normal"], counts[:, :, ::-1])
            if kind == "dent" and view == "top":
                item["mask"] = f"{at}/mask/P-{n}_{view}.png"
                put(folder / item["mask"], cv2.circle(np.zeros((60, 90), np.uint8), (30, 30), 5, 255, -1))
            items.append(item)
    index = {
        "product": "tile",
        "views": ["top", "left"],
        "input_size": [60, 90],
        "photometric_stereo": {},
        "items": items,
    }
    (folder / "index.json").write_text(json.dumps(index))
    return folder


def test_our_own_set_comes_back_bit_for_bit_with_normals_held_out_parts_and_its_grid(
    ours: Path, tmp_path: Path
) -> None:
    there = export_to(ours, "real-iad-mvn", tmp_path / "out", linear=True).folder
    assert is_linear(next((there / "train").rglob("rgb/*/*.png")))
    import_from("real-iad-mvn", there, tmp_path / "again")
    before, after = (json.loads((f / "index.json").read_text()) for f in (ours, tmp_path / "again"))
    assert (after["input_size"], after["views"], after["product"]) == ([60, 90], ["top", "left"], "tile")
    by_key = {(i["part"], i["view"]): i for i in after["items"]}
    for item in before["items"]:
        other = by_key[item["part"], item["view"]]
        assert (other["split"], other["kind"]) == (item["split"], item["kind"])
        for what in ("rgb", "normal", "mask"):
            files = [f / i[what] if i[what] else None for f, i in ((ours, item), (tmp_path / "again", other))]
            pictures = [None if f is None else cv2.imread(str(f), cv2.IMREAD_UNCHANGED) for f in files]
            np.testing.assert_array_equal(*pictures)


def test_other_programs_get_our_pictures_as_display_values(ours: Path, tmp_path: Path) -> None:
    there = export_to(ours, "mvtec", tmp_path, view="top")
    assert "converted from linear light to sRGB" in there.as_text()
    first = read_any(there.folder).pictures[0]
    shown = cv2.imread(str(first.file), cv2.IMREAD_UNCHANGED)
    assert shown.dtype == np.uint8
    source = next(p for p in read_any(ours).only("top").pictures if p.part == first.part)
    np.testing.assert_allclose(read_linear(first.file), read_linear(source.file, linear=True), atol=0.005)


def test_a_layout_of_one_view_asks_which(ours: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"visa shows one view of a part, tile has top, left: choose one with --view"):
        export_to(ours, "visa", tmp_path)
    with pytest.raises(BadInput, match=r"tile has no view 'back'; it has top, left"):
        export_to(ours, "visa", tmp_path, view="back")


def test_a_picture_that_was_changed_in_our_own_set_is_not_exported(ours: Path, tmp_path: Path) -> None:
    index = json.loads((ours / "index.json").read_text())
    index["items"][0]["rgb_sha256"] = "0" * 64
    (ours / "index.json").write_text(json.dumps(index))
    with pytest.raises(BadInput, match=r"P-0_left\.png was changed or swapped since the data set was written"):
        export_to(ours, "real-iad-mvn", tmp_path)


def test_visa_names_kinds_by_its_annotations_and_writes_both_tables(made: dict[str, Path], tmp_path: Path) -> None:
    assert {p.kind for p in read_any(made["visa"]).pictures} == {"good", "bent", "bent+melt"}
    export_to(made["visa"], "visa", tmp_path)
    with (tmp_path / "split_csv" / "1cls.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert sum(row["label"] == "anomaly" for row in rows) == 2
    assert all((tmp_path / row["image"]).is_file() for row in rows)
    with (tmp_path / "candle" / "image_anno.csv").open() as file:
        assert {row["label"] for row in csv.DictReader(file)} == {"normal", "bent", "bent, melt"}


def test_a_file_of_splits_chooses_its_own_parts(made: dict[str, Path], tmp_path: Path) -> None:
    """Real-IAD has several JSON files for the same pictures; one of them shows C1 alone."""
    root = tmp_path / "copy"
    shutil.copytree(made["real-iad"].parents[1], root)
    document = json.loads((root / "realiad_jsons" / "toy.json").read_text())
    for split in ("train", "test"):
        document[split] = [entry for entry in document[split] if "_C1_" in entry["image_path"]]
    (root / "realiad_jsons_sv").mkdir()
    table = root / "realiad_jsons_sv" / "toy.json"
    table.write_text(json.dumps(document))
    found = read_any(table)
    assert (found.views, len(found.pictures)) == (("C1",), 10)


def test_a_folder_that_differs_states_its_patterns(made: dict[str, Path], tmp_path: Path) -> None:
    folder = tmp_path / "plate"
    for picture in read_any(made["real-iad-mvn"]).pictures:
        split = "test" if picture.split == "test" else "train"
        for what, path in picture.files:
            put(folder / split / picture.kind / f"{picture.part}_{picture.view}_{what}.png",
                cv2.imread(str(path), cv2.IMREAD_UNCHANGED))  # fmt: skip
    patterns = {w: "[" + f"'{{split}}/{{kind}}/{{part}}_{{view}}_{f}.*'" + "]"
                for w, f in (("picture", "rgb"), ("normal", "normal"), ("mask", "mask"))}  # fmt: skip
    (folder / "layout.yaml").write_text("".join(f"{what}: {pattern}\n" for what, pattern in patterns.items()))
    found = read_any(folder)
    assert (found.views, len(found.pictures), found.has_normals) == (("left", "top"), 20, True)


def test_a_folder_of_several_sets_names_them(made: dict[str, Path]) -> None:
    with pytest.raises(BadInput, match=r"holds 1 sets \(washer\): name one of them"):
        read_any(made["mvtec"].parent)


def test_normals_are_read_from_8_bits_as_unit_vectors(made: dict[str, Path]) -> None:
    vectors = read_normals(next(p.normal for p in read_any(made["real-iad-mvn"]).pictures if p.normal is not None))
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=0), 1, atol=1e-5)
    assert vectors[2].mean() > 0.9
    assert vectors[0, :, 16].mean() == pytest.approx(-0.447, abs=0.02)  # the plate's left edge slopes to the left


def _drop(pattern: str):
    def harm(folder: Path) -> None:
        next(iter(sorted(folder.glob(pattern)))).unlink()

    return harm


def _swap_picture_and_normals(folder: Path) -> None:
    one, other = (folder / "train" / "good" / what / "P003" / "top.png" for what in ("rgb", "nv"))
    kept = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(kept)


def _double(folder: Path) -> None:
    shutil.copy(folder / "train/good/rgb/P003/top.png", folder / "train/good/rgb/P004/top.png")


def _double_normals(folder: Path) -> None:
    shutil.copy(folder / "train/good/nv/P003/top.png", folder / "train/good/nv/P004/top.png")


def _another_ending(folder: Path) -> None:
    put(folder / "train/good/rgb/P003/top.bmp", plate(3))


def _small_mask(folder: Path) -> None:
    put(folder / "test/hole/gt/P071/top.png", mask()[:40])


def _small_normals(folder: Path) -> None:
    put(folder / "train/good/nv/P003/left.png", normals(3)[:40])


def _no_view(folder: Path) -> None:
    (folder / "train/good/rgb/P003/left.png").unlink()
    (folder / "train/good/nv/P003/left.png").unlink()


def _some_constant(folder: Path) -> None:
    put(folder / "train/good/nv/P003/left.png", np.full((60, 72, 3), (255, 128, 128), np.uint8))


def _grey_normals(folder: Path) -> None:
    put(folder / "train/good/nv/P003/left.png", np.full((60, 72), 128, np.uint8))


def _mask_of_good(folder: Path) -> None:
    put(folder / "test/good/gt/P051/top.png", mask())


def _two_kinds(folder: Path) -> None:
    shutil.copytree(folder / "test/hole", folder / "test/dent")
    for file in (folder / "test/dent").rglob("*.png"):
        if file.stem == "left" or "P071" not in str(file):
            file.unlink()


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (_drop("train/good/nv/P003/left.png"), r"P003/left\.png: P003 / left has no normals, other pictures have"),
        (_drop("train/good/rgb/P003/left.png"), r"nv/P003/left\.png: normals of P003 / left, whose picture is missing"),
        (_drop("test/hole/gt/P071/top.png"), r"no view of P071 \(hole\) has a mask"),
        (_swap_picture_and_normals, r"rgb/P003/top\.png holds normals, and .*nv/P003/top\.png a picture: swap"),
        (_double, r"P004/top\.png is the same picture as .*P003/top\.png"),
        (_double_normals, r"nv/P004/top\.png is the same normals as .*nv/P003/top\.png"),
        (_another_ending, r"P003/top\.png and .*P003/top\.bmp are both the picture of P003 / top"),
        (_small_mask, r"gt/P071/top\.png is 72 x 40 px, but its picture is not \(72 x 60, P071 / top\)"),
        (_small_normals, r"nv/P003/left\.png is 72 x 40 px, but its picture is not"),
        (_no_view, r"P003 lacks the view 'left', others have left, top"),
        (_some_constant, r"nv/P003/left\.png: the normals of P003 / left are the same everywhere, as of 1 of 20"),
        (_grey_normals, r"nv/P003/left\.png has one channel, normals have three components"),
        (_mask_of_good, r"gt/P051/top\.png is the mask of a good part"),
        (_two_kinds, r"lacks the view 'left'"),
    ],
)  # fmt: skip
def test_what_is_missing_doubled_swapped_or_of_another_size_is_named(tmp_path: Path, harm, said: str) -> None:
    folder = real_iad_mvn(tmp_path, 6, 2)
    harm(folder)
    with pytest.raises(BadInput, match=said):
        import_from("real-iad-mvn", folder, tmp_path / "set")
    assert not (tmp_path / "set" / "index.json").exists()


FIRST_ROW = "candle,train,normal,candle/Data/Images/Normal/0000.png,"


def _edit_table(folder: Path, old: str, new: str) -> None:
    table = folder.parent / "split_csv" / "1cls.csv"
    table.write_text(table.read_text().replace(old, new, 1))


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda f: (f / "Data/Images/Normal/0003.png").unlink(), r"1cls\.csv:5: .*0003\.png is missing"),
        (lambda f: put(f / "Data/Images/Normal/9999.png", plate(9)), r"9999\.png is not in .*1cls\.csv"),
        (lambda f: (f.parent / "split_csv/1cls.csv").unlink(), r"split_csv/1cls\.csv is missing: it says"),
        (lambda f: _edit_table(f, "label", "lable"), r"1cls\.csv:1: has no column 'label'"),
        (lambda f: _edit_table(f, "candle,train", "candle,teach"), r"1cls\.csv:2: split 'teach': write train or test"),
        (lambda f: _edit_table(f, "candle/Data/Masks/Anomaly/000.png", ""), r"000\.png is a picture of a defect and"),
        (lambda f: _edit_table(f, "Normal/0004.png", "Normal/0003.png"), r"0004\.png is not in .*1cls\.csv"),
        (lambda f: _edit_table(f, "mask\n", f"mask\n{FIRST_ROW}\n"), r"both show normal_0000 / view"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_visa_is_named_with_its_line(tmp_path: Path, harm, said: str) -> None:
    folder = visa(tmp_path, 6, 2)
    harm(folder)
    with pytest.raises(BadInput, match=said):
        read_any(folder)


def _edit_json(folder: Path, change) -> None:
    table = folder.parents[1] / "realiad_jsons" / "toy.json"
    document = json.loads(table.read_text())
    change(document)
    table.write_text(json.dumps(document))


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda f: next(f.glob("OK/S0003/*_C2_*")).unlink(), r"toy\.json: train\[5\]: .*_C2_2023\.png is missing"),
        (lambda f: _edit_json(f, lambda d: d["train"].pop(5)), r"toy_0003_OK lacks the view 'C2'"),
        (lambda f: _edit_json(f, lambda d: d["train"].append(d["train"][5])), r"both show toy_0003_OK / C2"),
        (lambda f: _edit_json(f, lambda d: d["train"][5].pop("anomaly_class")), r"toy_0003_OK: has no 'anomaly_class'"),
        (lambda f: _edit_json(f, lambda d: d["test"].append(d["train"][5])), r"good in test here|both show"),
        (lambda f: _edit_json(f, lambda d: d.pop("test")), r"has no meta, train and test"),
        (lambda f: (f.parents[1] / "realiad_jsons/toy.json").write_text("{"), r"toy\.json:1: not JSON"),
        (lambda f: (f.parents[1] / "realiad_jsons/toy.json").unlink(), r"toy\.json is missing: it says which"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_real_iad_is_named_with_its_entry(tmp_path: Path, harm, said: str) -> None:
    folder = real_iad(tmp_path, 6, 2)
    harm(folder)
    with pytest.raises(BadInput, match=said):
        read_any(folder)


def test_files_of_d3_are_joined_by_name_and_not_by_their_order(tmp_path: Path) -> None:
    """The set's published loaders sort and zip: one missing file shifts all that follow."""
    folder = real_iad_d3(tmp_path, 6, 2)
    (folder / "train" / "GOOD" / "ps" / "S003.png").unlink()
    with pytest.raises(BadInput, match=r"S003_L05_RGB\.jpg: S003 / top has no normals|S003.* has no normals"):
        read_any(folder)


def test_an_exported_file_that_is_missing_changed_or_swapped_is_named(tmp_path: Path) -> None:
    folder = export_to(mvtec(tmp_path / "made", 6, 2), "mvtec", tmp_path / "out").folder
    one, other = (folder / "train" / "good" / f"00{n}.png" for n in (1, 2))
    kept = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(kept)
    with pytest.raises(BadInput, match=r"00[12]\.png was changed or swapped since it was exported"):
        read_any(folder)
    other.write_bytes(one.read_bytes())
    one.unlink()
    with pytest.raises(BadInput, match=r"00[12]\.png (was changed or swapped|is missing)"):
        read_any(folder)


def test_nothing_is_written_over(made: dict[str, Path], tmp_path: Path) -> None:
    put(tmp_path / "full" / "washer" / "x.png", plate(1))
    with pytest.raises(BadInput, match="holds something already"):
        import_from("mvtec", made["mvtec"], tmp_path / "full")
    with pytest.raises(BadInput, match="holds something already"):
        export_to(made["mvtec"], "mvtec", tmp_path / "full")


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda m, t: import_from("coco", m["mvtec"], t), r"there is no layout 'coco'; there are real-iad, visa"),
        (lambda m, t: import_from("visa", m["mvtec"], t), r"washer has the layout mvtec, not visa"),
        (lambda _, t: import_from("mvtec", t / "none", t), r"none is missing: name the folder of a data set"),
        (lambda m, t: export_to(m["mvtec"], "collection", t), r"washer is no collection"),
        (lambda m, t: export_to(m["mvtec"], "visa", t, recipe=Path("r.yaml")), r"r\.yaml: --recipe solves the frames"),
    ],
)  # fmt: skip
def test_a_way_that_there_is_not_is_named(made: dict[str, Path], tmp_path: Path, ask, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        ask(made, tmp_path)


def test_constant_normals_are_named_and_left_out(tmp_path: Path) -> None:
    folder = real_iad_mvn(tmp_path, 6, 2)
    for file in folder.rglob("nv/*/*.png"):
        put(file, np.full((60, 72, 3), (255, 128, 128), np.uint8))
    report = import_from("real-iad-mvn", folder, tmp_path / "set")
    assert report.notes == ("The normals of all 20 pictures are constant (0 0 1) and say nothing: they are left out.",)
    assert all(i["normal"] is None for i in json.loads((tmp_path / "set" / "index.json").read_text())["items"])
