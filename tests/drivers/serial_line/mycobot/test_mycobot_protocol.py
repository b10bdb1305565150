"""The frames of a myCobot: golden ones from its documents, and streams of anything."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.serial_line.mycobot import protocol as frames
from drivers.serial_line.mycobot.protocol import ANSWER_BYTES, Frame, FrameReader, encode

ANGLES = bytes.fromhex("FEFE0E20008C003DFFE6FF3F00AFFF51FA")
answers = st.one_of(
    [
        st.builds(Frame, st.just(command), st.binary(min_size=size, max_size=size))
        for command, sizes in ANSWER_BYTES.items()
        for size in sizes
    ]
)
noise = st.binary(max_size=30) | st.lists(st.sampled_from([b"\xfe", b"\xfe\xfe", b"\x0e", b"\x03\x12", b"\xfa"])).map(
    b"".join
)


@pytest.mark.parametrize(
    ("text", "command", "data"),
    [("FEFE0210FA", frames.POWER_ON, ""), ("FEFE031201FA", frames.IS_POWERED, "01"), ("FEFE0229FA", frames.STOP, "")],
)
def test_frames_of_the_documents(text: str, command: int, data: str) -> None:
    assert encode(Frame(command, bytes.fromhex(data))) == bytes.fromhex(text)
    assert FrameReader().feed(bytes.fromhex(text)) == [Frame(command, bytes.fromhex(data))]


def test_the_documents_angles() -> None:
    (frame,) = FrameReader().feed(ANGLES)
    assert frames.angles(frame) == (1.40, 0.61, -0.26, -1.93, 1.75, -1.75)
    assert frames.angle_bytes((1.40, 0.61, -0.26, -1.93, 1.75, -1.75)) == ANGLES[4:-1]
    assert len(encode(Frame(frames.SEND_ANGLES, ANGLES[4:-1] + b"\x32"))) == 0x0F + 3


def test_coordinates_are_tenths_of_a_millimetre_and_hundredths_of_a_degree() -> None:
    data = frames.coordinate_bytes((12.3, -45.6, 300.0, 90.01, -0.02, 179.99))
    assert data.hex() == "007bfe380bb82329fffe464f"
    assert frames.coordinates(Frame(frames.GET_COORDINATES, data)) == (12.3, -45.6, 300.0, 90.01, -0.02, 179.99)
    with pytest.raises(ValueError, match="six numbers of at most 3276"):
        frames.coordinate_bytes((4000.0, 0.0, 0.0, 0.0, 0.0, 0.0))


@pytest.mark.parametrize("data", ["", "02", "0101", "ff"])
def test_a_flag_is_one_byte_of_0_or_1(data: str) -> None:
    assert frames.flag(Frame(frames.IS_MOVING, bytes.fromhex(data))) is None


def test_angles_beyond_half_a_turn_are_noise() -> None:
    assert frames.angles(Frame(frames.GET_ANGLES, bytes.fromhex("7fff" * 6))) is None


@given(st.lists(noise | answers.map(encode), max_size=8), st.data())
def test_any_bytes_give_only_frames_that_stood_there_and_the_cutting_does_not_matter(
    pieces: list[bytes], data: st.DataObject
) -> None:
    stream = b"".join(pieces)
    whole = FrameReader().feed(stream)
    rest = stream
    for frame in whole:
        assert frame.command in ANSWER_BYTES
        assert len(frame.data) in ANSWER_BYTES[frame.command]
        assert encode(frame) in rest
        rest = rest[rest.index(encode(frame)) + len(encode(frame)) :]
    cut = data.draw(st.integers(0, len(stream)))
    reader = FrameReader()
    assert reader.feed(stream[:cut]) + reader.feed(stream[cut:]) == whole


@given(st.binary(max_size=60), answers)
def test_after_any_noise_the_reader_finds_its_step_again(before: bytes, frame: Frame) -> None:
    reader = FrameReader()
    reader.feed(before)
    found = [f for _ in range(4) for f in reader.feed(encode(frame))]
    assert frame in found


@given(st.lists(answers, max_size=6))
def test_clean_streams_lose_nothing(sent: list[Frame]) -> None:
    reader = FrameReader()
    assert reader.feed(b"".join(encode(f) for f in sent)) == sent
    assert reader.rejected_bytes == 0
