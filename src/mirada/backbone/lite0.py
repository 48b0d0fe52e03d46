"""EfficientNet-Lite0, the built-in network, in torch alone: what it takes to import timm, seconds, is saved.

Tan and Le, "EfficientNet", 2019, and the Lite variant of its makers: no squeeze-and-excitation, ReLU6 everywhere, the
stem and the last convolution as wide as in B0. Layers and tensors have timm's names, so that a model trained from one
loads into the other; the outputs are those of timm's `tf_efficientnet_lite0`.

Does not know: weights, which are in `mirada.backbone.weights`.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from mirada.backbone.body import LITE0_FEATURES

__all__ = ["EfficientNetLite0", "same_padding"]

STEM = 32

BLOCKS = (
    # repeats, kernel, stride, expansion, channels
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
"""EfficientNet's table 1, of the makers' Lite0: the stride is that of the first repeat."""


class EfficientNetLite0(nn.Module):
    """(N, 3, H, W) float32 -> features (N, 1280): the network without its classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.conv_stem = Conv2dSame(3, STEM, 3, 2)
        self.bn1, self.act1 = _norm(STEM), _activation()
        stages, channels = [], STEM
        for repeats, kernel, stride, expansion, width in BLOCKS:
            blocks: list[nn.Module] = []
            for step in (stride, *[1] * (repeats - 1)):
                if expansion == 1:
                    blocks.append(_DepthwiseSeparable(channels, width, kernel, step))
                else:
                    blocks.append(_InvertedResidual(channels, width, kernel, step, expansion))
                channels = width
            stages.append(nn.Sequential(*blocks))
        self.blocks = nn.Sequential(*stages)
        self.conv_head = _pointwise(channels, LITE0_FEATURES)
        self.bn2, self.act2 = _norm(LITE0_FEATURES), _activation()
        self.global_pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(1))

    def forward(self, x: Tensor) -> Tensor:
        x = self.act1(self.bn1(self.conv_stem(x)))
        x = self.blocks(x)
        x = self.act2(self.bn2(self.conv_head(x)))
        features: Tensor = self.global_pool(x)
        return features


def same_padding(size: int, kernel: int, stride: int, dilation: int = 1) -> tuple[int, int]:
    """Zeros before and after a side, as TensorFlow's "same" pads: to ceil(size / stride) places, less before."""
    total = max((-(-size // stride) - 1) * stride + (kernel - 1) * dilation + 1 - size, 0)
    return total // 2, total - total // 2


class Conv2dSame(nn.Conv2d):
    """A convolution without a bias, padded as TensorFlow pads "same"."""

    def __init__(self, channels: int, filters: int, kernel: int, stride: int, groups: int = 1) -> None:
        super().__init__(channels, filters, kernel, stride, groups=groups, bias=False)

    def forward(self, input: Tensor) -> Tensor:
        kernel, stride = self.kernel_size[0], self.stride[0]
        height, width = (same_padding(int(size), kernel, stride) for size in input.shape[2:])
        padded = functional.pad(input, (*width, *height))
        return functional.conv2d(padded, self.weight, None, self.stride, 0, self.dilation, self.groups)


class _DepthwiseSeparable(nn.Module):
    """A depthwise convolution and a 1 x 1 convolution: (N, C, H, W) -> (N, D, ceil(H / stride), ceil(W / stride))."""

    def __init__(self, channels: int, width: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.conv_dw = _depthwise(channels, kernel, stride)
        self.bn1, self.act1 = _norm(channels), _activation()
        self.conv_pw = _pointwise(channels, width)
        self.bn2 = _norm(width)
        self.adds_input = stride == 1 and channels == width

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.act1(self.bn1(self.conv_dw(x)))
        y = self.bn2(self.conv_pw(y))
        return y + x if self.adds_input else y


class _InvertedResidual(nn.Module):
    """MobileNet v2's block: wider by a 1 x 1 convolution, a depthwise one, narrower by a 1 x 1 convolution."""

    def __init__(self, channels: int, width: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = channels * expansion
        self.conv_pw = _pointwise(channels, inner)
        self.bn1, self.act1 = _norm(inner), _activation()
        self.conv_dw = _depthwise(inner, kernel, stride)
        self.bn2, self.act2 = _norm(inner), _activation()
        self.conv_pwl = _pointwise(inner, width)
        self.bn3 = _norm(width)
        self.adds_input = stride == 1 and channels == width

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.act1(self.bn1(self.conv_pw(x)))
        y = self.act2(self.bn2(self.conv_dw(y)))
        y = self.bn3(self.conv_pwl(y))
        return y + x if self.adds_input else y


def _pointwise(channels: int, filters: int) -> nn.Conv2d:
    return nn.Conv2d(channels, filters, 1, bias=False)


def _depthwise(channels: int, kernel: int, stride: int) -> nn.Conv2d:
    if stride == 1:  # "same" padding is even on both sides then
        return nn.Conv2d(channels, channels, kernel, padding=kernel // 2, groups=channels, bias=False)
    return Conv2dSame(channels, channels, kernel, stride, groups=channels)


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3)  # TensorFlow's


def _activation() -> nn.ReLU6:
    return nn.ReLU6(inplace=True)
