"""One image after the other through an engine: their order, their numbers, and what breaks off."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from small_network import CPU, assert_gives_the_right_numbers, pixels_of, program_of, right_of

from mirada.engine import Engine
from mirada.engine import choice as choosing
from mirada.engine.openvino_engine import OpenVinoEngine
from mirada.engine.torch_engine import TorchEngine
from mirada.machine import available_cpus


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Engine]:
    folder, program = tmp_path_factory.mktemp("network"), program_of("streams")
    reference = TorchEngine(program, device=CPU)
    choosing.openvino_engine.convert(reference.on_cpu(), program.input_shape, folder)
    return {"openvino": OpenVinoEngine(program, folder, "f32"), "torch": reference}


@pytest.mark.parametrize("kind", ["openvino", "torch"])
def test_streams_that_are_open_at_once_do_not_mix(engines: dict[str, Engine], kind: str) -> None:
    streams, pixels = [], [pixels_of(12, seed=seed) for seed in (2, 3, 4)]
    for own in pixels:
        streams.append(engines[kind].stream((i, image) for i, image in enumerate(own)))
        next(streams[-1])  # the others are on their way
    streams.pop(0).close()
    found = [list(stream) for stream in streams]
    for rows, own in zip(found, pixels[1:], strict=True):
        assert [tag for tag, _ in rows] == list(range(1, 12))
        features = np.stack([outputs[1] for _, outputs in rows if outputs is not None])
        np.testing.assert_allclose(features, right_of(own)[1][1:], rtol=0, atol=3e-3)


@pytest.mark.parametrize("kind", ["openvino", "torch"])
@settings(max_examples=15)
@given(missing=st.lists(st.booleans(), max_size=30))
def test_a_stream_keeps_its_order_and_passes_none_through(
    engines: dict[str, Engine], kind: str, missing: list[bool]
) -> None:
    pixels = pixels_of(len(missing), seed=1)
    items = [(f"image {i}", None if is_missing else pixels[i]) for i, is_missing in enumerate(missing)]
    found = list(engines[kind].stream(iter(items)))
    assert [tag for tag, _ in found] == [tag for tag, _ in items]
    assert [outputs is None for _, outputs in found] == missing
    right = right_of(pixels[~np.array(missing, bool)]) if not all(missing) else ((), ())
    rows = [outputs for _, outputs in found if outputs is not None]
    for output in (0, 1):
        for row, wanted in zip(rows, right[output], strict=True):
            assert row[output].dtype == (np.float16, np.float32)[output]
            np.testing.assert_allclose(row[output], wanted, rtol=0, atol=3e-3)


@pytest.mark.parametrize(("kind", "most"), [("openvino", available_cpus() + 2), ("torch", 8)])
def test_an_endless_stream_is_taken_a_few_ahead(engines: dict[str, Engine], kind: str, most: int) -> None:
    pixels, taken = pixels_of(4), 0

    def endless() -> Iterator[tuple[int, NDArray[np.uint8] | None]]:
        nonlocal taken
        for i in itertools.count():
            taken += 1
            yield i, pixels[i % 4]

    stream = engines[kind].stream(endless())
    for i in range(50):
        tag, outputs = next(stream)
        assert tag == i
        assert outputs is not None
        assert taken - i <= most
    stream.close()  # type: ignore[attr-defined]
    after = taken
    assert_gives_the_right_numbers(engines[kind])  # what was on its way disturbs nobody
    assert taken == after


def test_a_stream_that_breaks_off_leaves_the_engine_usable(engines: dict[str, Engine]) -> None:
    def broken() -> Iterator[tuple[int, NDArray[np.uint8] | None]]:
        yield 0, pixels_of(1)[0]
        raise OSError("a file went away")

    with pytest.raises(OSError, match="a file went away"):
        list(engines["openvino"].stream(broken()))
    assert_gives_the_right_numbers(engines["openvino"])


def test_an_image_has_the_same_bits_whatever_stands_beside_it(engines: dict[str, Engine]) -> None:
    (image,) = pixels_of(1, seed=5)
    seen = set()
    for count in (1, 2, 5, 9):
        for place in (0, count // 2, count - 1):
            pixels = pixels_of(count, seed=count)
            pixels[place] = image
            seen.add(b"".join(output[place].tobytes() for output in engines["openvino"](pixels)))
    assert len(seen) == 1


def test_pixels_in_any_memory_order(engines: dict[str, Engine]) -> None:
    pixels = pixels_of(3, seed=2)
    turned = np.ascontiguousarray(pixels.transpose(0, 3, 2, 1)).transpose(0, 3, 2, 1)
    for found, wanted in zip(engines["openvino"](turned), engines["openvino"](pixels), strict=True):
        assert found.tobytes() == wanted.tobytes()
