"""What tests of object indices share."""

import pytest

from spatialembed.data.layouts.label_folder import LabelFolder


@pytest.fixture
def read(monkeypatch):
    """Names of the masks that are read."""
    names = []
    truth = LabelFolder.truth

    def counted(self, i):
        names.append(self.names[i])
        return truth(self, i)

    monkeypatch.setattr(LabelFolder, "truth", counted)
    return names
