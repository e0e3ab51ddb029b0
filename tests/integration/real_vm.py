"""A virtual machine for tests: its image is built once a clone; skips with the reason where there
can be none."""

from __future__ import annotations

from pathlib import Path

import pytest

from kafkaops.lab.vm import image
from kafkaops.lab.vm.image import Image

CACHE = Path(__file__).parents[2] / "build" / "vm"


def image_or_skip() -> Image:
    if why := image.lacking():
        pytest.skip(why)
    return image.build(CACHE, print)
