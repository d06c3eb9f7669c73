"""docs/tutorial.md as a reader goes through it: every file, every command and its output, the training in between."""

from __future__ import annotations

from pathlib import Path

import pytest
from console import examples, run_example
from PIL import Image

TUTORIAL = Path(__file__).parents[2] / "docs" / "tutorial.md"


@pytest.mark.slow
def test_tutorial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip("sklearn")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the same sums on every machine
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("NO_COLOR", "1")
    Image.effect_noise((640, 480), 60).convert("RGB").save("photo.jpg")
    try:
        for block in examples(TUTORIAL):
            run_example(block, monkeypatch)
    finally:
        torch.set_num_threads(threads)
