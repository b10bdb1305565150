"""A controller that answers anything at all: no driver takes it for an acknowledge, and each finds back into step."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from conformance.light_benches import LightsBench
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drivers.errors import DeviceError

TOKENS = (
    b">",
    b"\r\n",
    b"Err 5",
    b"Evt3,33\r\n>",
    b"@01O",
    b"@01N3",
    b"\xff",
    b"a",
    b"b0255",
    b"H",
    b"#",
    b"CH 2, MD 0",
)
BABBLE = st.lists(st.one_of(st.binary(min_size=1, max_size=12), st.sampled_from(TOKENS)), max_size=5).map(b"".join)


@pytest.fixture(scope="module", params=["gardasoft", "ccs", "sa0255"])
def babbler(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, Any]]:
    bench = LightsBench(request.param, tmp_path_factory.mktemp("babble"), speed=200.0)
    yield bench, bench.open()
    bench.close()


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(replies=st.lists(BABBLE, min_size=1, max_size=4))
def test_nothing_that_a_controller_babbles_is_an_acknowledge(babbler: tuple[Any, Any], replies: list[bytes]) -> None:
    """It obeys nothing, and answers each command with the next piece."""
    bench, lights = babbler
    firmware, receive, left = bench.firmware, bench.firmware.receive, list(replies)

    def babble(_data: bytes) -> None:
        if left:
            firmware.outbox.send(left.pop(0), bench.clock.now_s())

    be_patient(lights, 0.3)
    settle(lights)
    firmware.receive = babble
    be_patient(lights, 0.02)
    with pytest.raises(DeviceError):
        lights.on(2, 1.0)
    firmware.receive = receive
    firmware.outbox.send(b">\r\n", bench.clock.now_s())  # the last piece ends somewhere
    be_patient(lights, 0.3)
    settle(lights)
    lights.on(3, 1.0)
    assert bench.lit() == {3: 1.0}


def be_patient(lights: Any, seconds: float) -> None:
    """Short while nothing can come, so that many babbles can be heard; long while something must."""
    lights._conversation.reply_timeout_s = seconds  # noqa: SLF001


def settle(lights: Any) -> None:
    """Dark, whatever stood in the line; a babbled lighting error is cleared as an operator would."""
    for _ in range(6):
        try:
            lights.off()
        except DeviceError:
            continue
        break
    clear = getattr(lights, "clear_errors", None)
    if clear is not None:
        clear()
    lights.off()
