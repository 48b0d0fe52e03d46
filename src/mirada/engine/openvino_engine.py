"""Running a network in OpenVINO on a CPU, and converting one to it. Does not import torch to run.

Images go through one by one, as many at once as there are processors: measured, that is as fast as batches of eight,
memory stays small, there is one shape only, and an image gets the same numbers to the bit whatever stands beside it.
"""

from __future__ import annotations

import io
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mirada.engine.engine import Engine, Outputs, Tag
from mirada.engine.program import Program
from mirada.lazy import loaded_when_used
from mirada.machine.cpus import available_cpus

__all__ = [
    "CANNOT_BE_OPENED",
    "OpenVinoEngine",
    "Precision",
    "compiled_file",
    "convert",
    "is_installed",
    "keep_only",
    "version",
]

_CONVERTER = "openvino.tools.ovc"
"""OpenVINO's converter of models, half of its import; nothing here uses it."""
_CONVERTED = "network.xml"
"""The converted network; its weights lie beside it as network.bin."""

CANNOT_BE_OPENED = OSError, RuntimeError, ValueError
"""What opening a damaged network raises; ValueError where OpenVINO's message has bytes of the file that are no text."""

Precision = Literal["f32", "bf16"]


def is_installed() -> bool:
    """Whether OpenVINO can be imported."""
    try:
        _openvino()
    except ImportError:
        return False
    return True


def version() -> str | None:
    """Of OpenVINO; None where it is not installed."""
    return str(_openvino().__version__) if is_installed() else None


def _openvino() -> Any:
    """The package. It would tell a server abroad of each import, and leave a folder in the person's home.

    Both are done by `openvino_telemetry`, without which it gets along. Its converter is loaded when it is asked for.
    """
    if "openvino" not in sys.modules:
        missing: Any = None  # an import of what is set to this fails
        sys.modules.setdefault("openvino_telemetry", missing)
        sys.modules[_CONVERTER] = missing
        try:
            import openvino
        finally:
            sys.modules.pop(_CONVERTER, None)  # another thread may have done so
        if not hasattr(openvino, "convert_model"):
            vars(openvino).setdefault("__getattr__", loaded_when_used("openvino", {"convert_model": _CONVERTER}))
    import openvino

    return openvino


class OpenVinoEngine(Engine):
    """Runs a program that was converted.

    Args:
        program: what is run.
        folder: holds the network, compiled for this precision or converted.
        precision: of the arithmetic.

    Attributes:
        precision: of the arithmetic in fact: where the processor does not have the one asked for, another.
    """

    def __init__(self, program: Program, folder: Path, precision: Precision) -> None:
        super().__init__(program)
        self.name = f"openvino {precision}"
        threads = available_cpus()
        settings = {
            "PERFORMANCE_HINT": "THROUGHPUT",
            "NUM_STREAMS": threads,
            "INFERENCE_NUM_THREADS": threads,
            "INFERENCE_PRECISION_HINT": precision,
            "ENABLE_CPU_PINNING": False,  # decoding takes its turn on the same processors
        }
        core = _openvino().Core()
        try:
            compiled = compiled_file(folder, precision).read_bytes()
        except FileNotFoundError:
            self._network = core.compile_model(folder / _CONVERTED, "CPU", settings)
        else:
            self._network = core.import_model(compiled, "CPU", settings)
        self.precision: str = self._network.get_property("INFERENCE_PRECISION_HINT").to_string()
        self._at_once = threads + 1
        self._idle: list[_Request] = []

    def exported(self) -> bytes:
        """The network as it is compiled, for this version of OpenVINO: it is opened again without being compiled."""
        stream = io.BytesIO()
        self._network.export_model(stream)
        return stream.getvalue()

    def stream(self, items: Iterable[tuple[Tag, NDArray[np.uint8] | None]]) -> Iterator[tuple[Tag, Outputs | None]]:
        """See `Engine.stream`. Several streams may be open at once, each with requests of its own."""
        taken = [self._idle_request() for _ in range(self._at_once)]
        free, waiting = deque(taken), deque[tuple[Tag, _Request | None]]()
        try:
            for tag, pixels in items:
                if pixels is None:
                    waiting.append((tag, None))
                else:
                    while not free:
                        yield self._first(waiting, free)
                    request = free.popleft()
                    request.start(pixels)
                    waiting.append((tag, request))
                while waiting and waiting[0][1] is None:
                    yield self._first(waiting, free)
            while waiting:
                yield self._first(waiting, free)
        finally:
            for _, on_its_way in waiting:
                if on_its_way is not None:
                    on_its_way.wait()
            self._idle += taken

    def _idle_request(self) -> _Request:
        try:
            return self._idle.pop()
        except IndexError:
            return _Request(self._network)

    def _first(self, waiting: deque[tuple[Tag, _Request | None]], free: deque[_Request]) -> tuple[Tag, Outputs | None]:
        tag, request = waiting.popleft()
        if request is None:
            return tag, None
        outputs = request.finish()
        free.append(request)
        return tag, outputs


class _Request:
    """One image on its way through a compiled network, in memory that is the request's own.

    Pixels are written to it directly: handing over an array, as OpenVINO's Python does, takes 0.5 ms an image.
    """

    def __init__(self, network: Any) -> None:
        self._request = network.create_infer_request()
        self._pixels = self._request.get_input_tensor(0).data[0]  # (h, w, C) uint8
        self._outputs = [self._request.get_output_tensor(i).data[0] for i in range(len(network.outputs))]

    def start(self, pixels: NDArray[np.uint8]) -> None:
        """Begin with an image (h, w, C)."""
        if pixels.shape != self._pixels.shape or pixels.dtype != self._pixels.dtype:
            raise ValueError(f"expected {self._pixels.dtype} {self._pixels.shape}, got {pixels.dtype} {pixels.shape}")
        self._pixels[...] = pixels
        self._request.start_async()

    def wait(self) -> None:
        """Until it is done."""
        self._request.wait()

    def finish(self) -> Outputs:
        """Wait, then copy the outputs."""
        self._request.wait()
        return tuple(np.array(output) for output in self._outputs)


def compiled_file(folder: Path, precision: Precision) -> Path:
    """Where a folder holds the network compiled for this precision, if it does."""
    return folder / f"network.{precision}.blob"


def keep_only(folder: Path, precision: Precision | None) -> None:
    """Delete all forms of a network but the one that it is run from in this precision; None: it is not run from any."""
    needed = set[Path]()
    if precision is not None:
        compiled, converted = compiled_file(folder, precision), folder / _CONVERTED
        needed = {compiled} if compiled.exists() else {converted, converted.with_suffix(".bin")}
    for file in set(folder.glob("network.*")) - needed:
        file.unlink()


def convert(module: Any, input_shape: tuple[int, int, int], folder: Path) -> None:
    """Write a torch module, (N, h, w, C) uint8 -> a tuple of tensors, as an OpenVINO network for one image.

    The frontend is called directly: OpenVINO's `convert_model` would send statistics over the network.
    """
    import warnings

    import torch

    openvino = _openvino()
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    example = torch.zeros(1, *input_shape, dtype=torch.uint8)
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")  # torch.jit is deprecated, and OpenVINO's frontend needs it
        decoder = TorchScriptPythonDecoder(module.eval(), example_input=example, trace_kwargs={"check_trace": False})
        frontend = FrontEndManager().load_by_framework("pytorch")
        network = frontend.convert(frontend.load(decoder))
    network.reshape([1, *input_shape])
    openvino.save_model(network, folder / _CONVERTED, compress_to_fp16=False)
