from typing import Any

import pytest
import torch

from spatialembed.errors import UserError
from spatialembed.inference.image_like import to_array


@pytest.mark.parametrize(
    "image",
    [torch.zeros(8, 8, requires_grad=True), torch.zeros(8, 8).bfloat16(), [[1, 2], [3]]],
    ids=["gradient", "bfloat16", "ragged"],
)
def test_what_numpy_cannot_take_is_refused_in_a_sentence(image: Any) -> None:
    with pytest.raises(UserError, match=r"NumPy cannot take the image, of .*: give a NumPy array"):
        to_array(image)
