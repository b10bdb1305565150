"""Plots are whole SVG, show what they are given, and mark what is flagged."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from calibration.camera import plots as camera_plots
from calibration.camera_model import CameraModel
from calibration.record import Calibration
from calibration.report.page import html_report
from calibration.report.plots import GREEN, RED, Curve, Plot, curve_svg, dome_svg, maps_svg


def record(**changes: object) -> Calibration:
    values: dict[str, object] = {
        "calibration_id": "test", "created": "2026-11-24T08:00:00Z", "camera_serial_number": "A", "image_width": 5472,
        "image_height": 3648, "fx_px": 24429.0, "fy_px": 24429.0, "cx_px": 2735.5, "cy_px": 1823.5,
        "working_distance_mm": 250.0, "black_level_dn": 64.0, "is_simulated": True,
        "lights": [
            {"channel": 1, "name": "right", "kind": "directional", "position_mm": [150.0, 0.0, 200.0]},
            {"channel": 2, "name": "left", "kind": "directional", "position_mm": [-150, 0, 200], "flags": ["off"]},
            {"channel": 9, "name": "dome", "kind": "diffuse"},
        ],
    }  # fmt: skip
    return Calibration.model_validate({**values, **changes})


def circles(svg: str, fill: str) -> list[tuple[float, float]]:
    found = ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}circle")
    return [(float(c.attrib["cx"]), float(c.attrib["cy"])) for c in found if c.attrib.get("fill") == fill]


def test_a_curves_points_lie_in_order_and_its_axes_have_round_ends() -> None:
    svg = curve_svg(Curve("Linearity", "exposure (us)", "mean (DN)", ((100.0, 300.0), (900.0, 2900.0)), 3.2))
    texts = [t.text for t in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]
    assert {"0", "1000", "3200", "exposure (us)", "mean (DN)"} <= set(texts)
    first, second = circles(svg, "#1a4fa0")
    assert first[0] < second[0]
    assert first[1] > second[1]


def test_the_dome_shows_right_on_the_right_and_flagged_lights_in_red() -> None:
    svg = dome_svg(record(), None)
    (good,), (bad,) = circles(svg, GREEN), circles(svg, RED)
    assert good[0] > 160 > bad[0]


def test_maps_are_white_at_one_and_coloured_beside_it() -> None:
    maps = np.ones((2, 3, 4))
    maps[1, 0, 0] = 1.05
    svg = maps_svg(maps, ["a", "b"], 0.02, "caption")
    assert svg.count("#ffffff") == 23
    assert svg.count("#ff0000") == 1
    ElementTree.fromstring(svg)


def test_a_report_embeds_its_plots_and_says_what_was_not_measured() -> None:
    drawn = Plot("camera", "Residuals <of all>", b"\x89PNG", "png")
    page = html_report(record(), "0" * 64, plots={"camera": [drawn]})
    assert 'src="data:image/png;base64,iVBORw=="' in page
    assert "Residuals &lt;of all&gt;" in page
    assert "Not released" in page
    assert page.count("ot measured") >= 3
    assert "http" not in page


def test_a_viewpoint_must_be_a_rigid_pose() -> None:
    rows = np.eye(4).tolist()
    good = {
        "name": "top", "arm": [0, 0, 258, 0, -90], "camera_to_station": rows, "covariance": np.eye(6).tolist(),
        "factor95": 1.96,
    }  # fmt: skip
    assert record(viewpoints=[good]).viewpoint("top") is not None
    assert record(viewpoints=[good]).viewpoint("back") is None
    rows[0][0] = -1.0
    with pytest.raises(ValueError, match="no rigid pose"):
        record(viewpoints=[good])


@pytest.mark.parametrize(
    ("k1", "caption"),
    [(2e-4, "distortion: at most 0.012 px, arrows 10000 times as long"),
     (-0.6, "distortion: at most 36 px, arrows 5 times as long"), (0.0, "distortion: below 0.0001 px")],
)  # fmt: skip
def test_arrows_of_the_distortion_are_magnified_to_be_seen_and_stay_inside_the_frame(
    k1: float, caption: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr(camera_plots, "_write", lambda _canvas, text, _at: told.append(text))
    plot = camera_plots.distortion_plot(CameraModel(5472, 3648, 24429.0, 24429.0, 2740.0, 1810.0, (k1,)))
    assert told == [caption]
    margin = camera_plots.MARGIN_PX
    outside = plot.copy()
    outside[margin : -margin + 1, margin : -margin + 1] = 255
    assert (outside == 255).all()
    blue = (plot[..., 2].astype(int) - plot[..., 0]) > 60
    whole = blue.copy()
    whole[margin + 2 : -margin - 2, margin + 2 : -margin - 2] = False
    assert not whole.any()  # none reaches the frame, where it would be cut off
    assert blue.any() == (k1 != 0.0)
