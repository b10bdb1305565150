"""What a recipe says of heights and refinement is what the detector and the archive get."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import yaml

from drivers.protocols import Frame
from drivers.simulated.scene import Scene, make_part
from station.acquire.captured_view import CapturedFrame, CapturedView
from station.acquire.plan import lit_steps, make_plan
from station.acquire.stage_times import StageTimes
from station.archive import Archive, ArchivedFrame, new_inspection_id
from station.documents.errors import DocumentError
from station.errors import BadInput
from station.inspection.reasons import ReasonKind
from station.inspection.result import AnomalyMap, Inspection, Verdict, ViewResult
from station.judge.detector import AnomalyDetector
from station.judge.view_checks import refused_frame
from station.judge.view_judge import ViewJudge
from station.judge.view_solver import ViewSolver
from station.lights.ambient import SHARE
from station.photometric_stereo.lights import PointLights
from station.photometric_stereo.packing import pack_normal_planes
from station.recipe.demo import DEMO_RECIPES
from station.recipe.fields import GlossChoice
from station.recipe.loaded import LoadedRecipe, load_recipe
from station.recipe.solver_inputs import lights_for, noise_for
from station.teach.gloss import GlossNotFound, teach_gloss

RECIPE = DEMO_RECIPES / "knob.yaml"
BLACK_DN = 64.0
pytestmark = pytest.mark.timeout(600)  # the first use compiles the kernels


class Listening(AnomalyDetector):
    """Keeps the normals that it was given, and finds every part good."""

    def __init__(self) -> None:
        self.normals: list[np.ndarray] = []
        self.is_broken = False
        self.metadata = SimpleNamespace(input_size=(456, 684))

    def detect(
        self, _image: np.ndarray, normals: np.ndarray, _view: str, region: np.ndarray | None = None
    ) -> AnomalyMap:
        del region
        if self.is_broken:
            raise RuntimeError("the model does not run")
        self.normals.append(normals.copy())
        return AnomalyMap(np.zeros((4, 6), np.float32), 0.5)


def changed(refine: str, detector_normals: str, height_mm: float = 0.0) -> LoadedRecipe:
    loaded = load_recipe(RECIPE, need_model=False)
    gloss = GlossChoice(of_albedo=0.7, roughness=0.45)
    choice = {"refine": refine, "detector_normals": detector_normals, "gloss": gloss}
    viewpoints = tuple(v.model_copy(update={"plane_height_mm": height_mm}) for v in loaded.recipe.viewpoints)
    stereo = loaded.recipe.photometric_stereo.model_copy(update=choice)
    changes = {"photometric_stereo": stereo, "viewpoints": viewpoints, "reference_levels": {}}
    return replace(loaded, recipe=loaded.recipe.model_copy(update=changes))


@pytest.fixture(scope="module")
def top() -> list[CapturedFrame]:
    scene = Scene(make_part("knob", 4))
    taken = []
    for step in lit_steps(make_plan(load_recipe(RECIPE, need_model=False).recipe)):
        if step.view == "top":
            pixels = scene.photograph(
                step.pose, {step.channel: 1.0}, exposure_us=step.exposure_us, gain_db=0.0, pixel_format="BayerRG12",
                binning=8, roi=None, frame_seed=step.index, black_level_dn=BLACK_DN,
            )  # fmt: skip
            frame = Frame(pixels, "BayerRG12", 12, BLACK_DN, step.exposure_us, 0.0, step.index, step.index)
            taken.append(CapturedFrame(step, frame, step.pose))
    return taken


def judged(loaded: LoadedRecipe, frames: list[CapturedFrame], behind: bool = False) -> tuple[ViewResult, Listening]:
    detector = Listening()
    judge = ViewJudge(loaded, detector)
    view = view_of(frames)
    for captured in frames:
        judge.take(captured)
    result = judge.judge(view)
    return result if behind else judge.refine(view, result), detector


def view_of(frames: list[CapturedFrame]) -> CapturedView:
    view = CapturedView(frames[0].step.view, tuple(captured.step for captured in frames))
    for captured in frames:
        view.add(captured)
    assert view.is_complete
    return view


def test_every_view_tells_its_doubt_and_how_its_lights_fit(top: list[CapturedFrame]) -> None:
    result, _ = judged(changed("none", "first"), top)
    assert result.reasons == ()
    assert result.solvers == {"detector": "masked", "map": "masked"}
    assert set(result.left_out_residuals) == {"L45", "L135", "L225", "L315"}
    assert all(0 < value < 0.1 for value in result.left_out_residuals.values())
    assert set(result.light_levels) == {*result.left_out_residuals, "diffuse"}
    assert 0.01 < result.quality["uncertainty_median_deg"] < result.quality["uncertainty_p95_deg"] < 5


def test_bounced_light_is_taken_off_for_archive_and_screen_and_the_doubt_is_recorded(top: list[CapturedFrame]) -> None:
    result, detector = judged(changed("bounced", "first", height_mm=5.2), top)
    assert result.solvers == {"detector": "masked", "map": "masked, bounced"}
    assert 0.3 < result.quality["refined_observable_share"] <= 1
    assert 0.05 < result.quality["refined_p95_median_deg"] < 10
    assert 0 <= result.quality["bounced_share_median"] < 0.5
    assert result.normal_map.observable_share == result.quality["refined_observable_share"]
    first, _ = judged(changed("none", "first", height_mm=5.2), top)
    assert "refined_p95_median_deg" not in first.quality
    assert len(detector.normals) == 1
    assert not np.array_equal(result.normal_map.normals, first.normal_map.normals)


def test_a_saturated_diffuse_picture_makes_the_view_undecided(top: list[CapturedFrame]) -> None:
    bright = []
    for taken in top:
        frame = taken.frame
        if taken.step.kind == "diffuse":
            frame = replace(frame, pixels=np.minimum(frame.pixels.astype(np.float64) * 4, 4095).astype(np.uint16))
        bright.append(replace(taken, frame=frame))
    result, _ = judged(changed("none", "first"), bright)
    assert result.verdict is Verdict.UNDECIDED
    assert len(result.reasons) == 1
    assert "light 'diffuse' saturates" in result.reasons[0].text
    assert (result.reasons[0].view, result.reasons[0].light) == ("top", "diffuse")
    assert result.reasons[0].remedy == "shorten its exposure"


def test_ambient_light_is_told_against_the_view_where_its_references_lack_a_light(top: list[CapturedFrame]) -> None:
    loaded = changed("none", "first")
    partial = loaded.recipe.model_copy(update={"reference_levels": {"top": {"diffuse": 0.4, "L45": 0.4}}})
    shares = []
    for recipe in (loaded.recipe, partial):
        judge = ViewJudge(replace(loaded, recipe=recipe), Listening())
        judge.begin_part(StageTimes())
        dark_step = replace(top[0].step, light="dark", kind="dark", channel=0)
        dark_frame = replace(top[0].frame, pixels=np.full_like(top[0].frame.pixels, 70))
        frames = [CapturedFrame(dark_step, dark_frame, top[0].position), *top]
        for frame in frames:
            judge.take(frame)
        shares.append(judge.judge(view_of(frames)).quality[SHARE])
    assert 0 < shares[0] < 0.1
    assert shares[1] == shares[0]


def test_the_dark_frame_counts_for_later_views_when_its_own_view_is_refused(top: list[CapturedFrame]) -> None:
    judge = ViewJudge(changed("none", "first"), Listening())
    judge.begin_part(StageTimes())
    dark_step = replace(top[0].step, light="dark", kind="dark", channel=0)
    dark_frame = replace(top[0].frame, pixels=np.full_like(top[0].frame.pixels, 1500))
    judge.take(CapturedFrame(dark_step, dark_frame, top[0].position))
    small = replace(top[0], frame=replace(top[0].frame, pixels=top[0].frame.pixels[:10]))
    judge.take(top[1])
    judge.take(small)  # of another size: its view is refused
    judge.undecided("top", refused_frame(ValueError("another size")))
    front = [replace(captured, step=replace(captured.step, view="front")) for captured in top]
    for captured in front:
        judge.take(captured)
    result = judge.judge(view_of(front))
    assert result.quality[SHARE] > 0.025
    assert ReasonKind.AMBIENT_LIGHT in [reason.kind for reason in result.reasons]


def test_a_view_that_cannot_be_judged_gets_no_map_of_the_view_before_it(top: list[CapturedFrame]) -> None:
    detector = Listening()
    judge = ViewJudge(changed("gloss", "first"), detector)
    for captured in top:
        judge.take(captured)
    assert judge.judge(view_of(top)).normal_map is not None  # not refined: the station was behind
    detector.is_broken = True
    for captured in top:
        judge.take(captured)
    result = judge.judge(view_of(top))
    after = judge.refine(view_of(top), result)
    assert [reason.kind for reason in after.reasons] == [ReasonKind.NOT_JUDGED]
    assert (after.verdict, after.normal_map, after.solvers) == (Verdict.UNDECIDED, None, {})


def test_the_detector_gets_the_first_normals_and_the_archive_the_refined(top: list[CapturedFrame]) -> None:
    plain, before = judged(changed("none", "first"), top)
    result, detector = judged(changed("gloss", "first"), top)
    assert result.solvers == {"detector": "masked", "map": "masked, gloss"}
    assert result.normal_map is not None
    assert plain.normal_map is not None
    np.testing.assert_array_equal(detector.normals[0], before.normals[0])
    assert np.abs(result.normal_map.unpacked().normals - plain.normal_map.unpacked().normals).max() > 0.01


def test_a_refined_map_shares_no_memory_with_the_one_that_is_recycled(top: list[CapturedFrame]) -> None:
    loaded = changed("gloss", "first")
    solver = ViewSolver(loaded, top[0].frame.pixels.shape)
    solver.begin("top")
    frames = view_of(top).directional
    for index, frame in enumerate(frames):
        solver.add(index, frame)
    first = solver.first()
    refined = solver.refined(first, frames)
    for plane in ("normals", "albedo", "lit_count", "residual", "observable", "saturated"):
        assert not np.shares_memory(getattr(refined, plane), getattr(first, plane))


def test_a_view_without_references_beside_others_that_have_them_is_undecided(top: list[CapturedFrame]) -> None:
    loaded = changed("none", "first")
    levels = {"left": {"L45": 0.2, "L135": 0.2, "L225": 0.2, "L315": 0.2, "diffuse": 0.2}}
    loaded = replace(loaded, recipe=loaded.recipe.model_copy(update={"reference_levels": levels}))
    result, _ = judged(loaded, top)
    assert result.verdict is Verdict.UNDECIDED
    assert "but not of this one" in result.reasons[0].text


def test_a_refinement_for_the_archive_is_left_out_when_the_station_is_behind(top: list[CapturedFrame]) -> None:
    result, _ = judged(changed("robust", "first"), top, behind=True)
    assert result.solvers == {"detector": "masked", "map": "masked"}


def test_a_detector_trained_on_refined_normals_always_gets_them(top: list[CapturedFrame]) -> None:
    result, detector = judged(changed("robust", "refined"), top, behind=True)
    assert result.solvers == {"detector": "robust", "map": "robust"}
    assert result.normal_map is not None
    np.testing.assert_array_equal(pack_normal_planes(detector.normals[0]), result.normal_map.packed().normals)


def test_views_of_another_height_are_solved_under_other_lights() -> None:
    loaded = changed("none", "first")
    viewpoints = list(loaded.recipe.viewpoints)
    viewpoints[1] = viewpoints[1].model_copy(update={"plane_height_mm": 5.0})
    loaded = replace(loaded, recipe=loaded.recipe.model_copy(update={"viewpoints": tuple(viewpoints)}))
    lights = lights_for(loaded, viewpoints[1].name)
    assert isinstance(lights, PointLights)
    assert lights.plane_height_mm == 5.0
    solver = ViewSolver(loaded, (8, 12))
    heights = []
    for viewpoint in viewpoints[:3]:
        solver.begin(viewpoint.name)
        assert isinstance(solver.lights, PointLights)
        heights.append(solver.lights.plane_height_mm)
    assert heights == [0.0, 5.0, 0.0]


def test_noise_without_a_calibrated_sensor_is_that_of_a_usual_one(top: list[CapturedFrame]) -> None:
    noise = noise_for(changed("none", "first"), top[0].frame)
    assert noise.system_gain_dn_per_e == pytest.approx(4095 / 10_000 / 64)


def test_the_gloss_of_an_archived_good_part_is_found(
    tmp_path: Path, top: list[CapturedFrame], good_inspection: Inspection
) -> None:
    document = yaml.safe_load(RECIPE.read_text(encoding="utf-8"))
    document["viewpoints"] = document["viewpoints"][:1]
    document["viewpoints"][0]["plane_height_mm"] = 5.9
    del document["reference_levels"]
    recipe, calibration = tmp_path / "knob.yaml", RECIPE.parent / "simulated_rig.calibration.yaml"
    recipe.write_text(yaml.safe_dump(document), encoding="utf-8")
    (tmp_path / calibration.name).write_bytes(calibration.read_bytes())
    inspection = replace(good_inspection, inspection_id=new_inspection_id(), views=())
    with Archive.open(tmp_path / "archive") as archive:
        archive.record(inspection, [ArchivedFrame("top", c.step.light, c.frame, c.step.pose) for c in top])
    said: list[str] = []
    report = teach_gloss(recipe, tmp_path / "archive", inspection.inspection_id, said.append)
    assert "view top, 1 of 1: solving" in said, "Issue 15, point 20: it was silent for the whole time"
    assert any(line.startswith("fit: round 10 of at most") for line in said)
    assert (report.views, report.lights) == (("top",), 4)
    assert report.fit.residual_of_albedo < 0.5 * report.fit.matte_residual_of_albedo
    assert "4 lights tell little" in report.as_text()
    assert yaml.safe_load(report.as_text().split("photometric_stereo:\n")[1])["refine"] == "gloss"
    with pytest.raises(GlossNotFound, match="view 'front' lacks L45"):
        teach_gloss(RECIPE, tmp_path / "archive", inspection.inspection_id)


@pytest.mark.parametrize(
    ("line", "words"),
    [("refine: gloss", "needs the product's gloss"), ("detector_normals: refined", "needs a refinement")],
)
def test_a_refinement_that_is_not_whole_is_refused(tmp_path: Path, line: str, words: str) -> None:
    text = RECIPE.read_text(encoding="utf-8").replace("  method: masked\n", f"  method: masked\n  {line}\n")
    recipe = tmp_path / "knob.yaml"
    recipe.write_text(text, encoding="utf-8")
    (tmp_path / "simulated_rig.calibration.yaml").write_bytes(
        (RECIPE.parent / "simulated_rig.calibration.yaml").read_bytes()
    )
    with pytest.raises(DocumentError, match=words):
        load_recipe(recipe, need_model=False)


def test_bounced_light_in_frames_too_large_for_the_memory_is_refused_before_any_frame() -> None:
    with pytest.raises(BadInput, match=r"refine: bounced would take .* GB for frames of 8000 x 6000 pixels"):
        ViewSolver(changed("bounced", "first"), (6000, 8000))
