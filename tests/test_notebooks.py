"""The notebooks run from top to bottom."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).parent.parent / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda f: f.stem)
@pytest.mark.filterwarnings("default")  # the kernel's own libraries, not ours
def test_notebook_runs(file, tmp_path, monkeypatch):
    monkeypatch.setenv("PATIENTS", "3000")  # of the story that is about a million
    notebook = nbformat.read(file, as_version=4)
    NotebookClient(
        notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    assert NOTEBOOKS
