"""numpy arrays come back as they were, or are refused."""

import pytest

from caching_core.codec import Codec
from caching_core.errors import ValueNotKept


@pytest.fixture(params=["fast", "reference"], scope="module")
def codec(request):
    return Codec(library=request.param)


def test_arrays_come_back_with_dtype_shape_order_and_are_writable(codec):
    numpy = pytest.importorskip("numpy", reason="numpy: not installed")
    arrays = [
        numpy.arange(6).reshape(2, 3),
        numpy.asfortranarray(numpy.arange(6.0).reshape(2, 3)),
        numpy.zeros((0, 3), dtype="u1"),
        numpy.array(5),
        numpy.array(["ab", "c"]),
        numpy.array(["2020-01-01"], dtype="M8[ns]"),
        numpy.array([1 + 2j], dtype=">c16"),
        numpy.array([True, False]),
        numpy.arange(10)[::-2],
    ]
    for array in arrays:
        back = codec.unpack(codec.pack({"a": [array]}))["a"][0]
        assert type(back) is numpy.ndarray
        assert back.dtype == array.dtype
        assert back.shape == array.shape
        assert numpy.array_equal(back, array)
        assert back.flags.writeable
        if array.flags.f_contiguous and not array.flags.c_contiguous:
            assert back.flags.f_contiguous
    for refused in [
        numpy.array([object()]),
        numpy.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")]),
        numpy.float64(1.0),
        numpy.int32(1),
        numpy.ma.array([1]),
        numpy.zeros(1, dtype="V0"),
    ]:
        with pytest.raises(ValueNotKept, match="numpy"):
            codec.pack([refused])
