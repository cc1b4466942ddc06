"""numpy arrays as an extension type, without pickle and without importing numpy before one is met."""

import sys
from types import ModuleType
from typing import Any

from caching_core.codec._wire import Wire
from caching_core.errors import ValueNotKept

# Arrays are Any here: numpy is no dependency, so there is nothing to annotate with.


def loaded_numpy() -> ModuleType | None:
    """Return numpy if the process uses it: else no value can be an array."""
    return sys.modules.get("numpy")


def pack_array(array: Any, numpy: ModuleType, wire: Wire) -> bytes:
    """Return dtype, shape, memory order and the bytes. ValueNotKept for objects and structured dtypes."""
    dtype = array.dtype
    # The short name must say everything: it does not for fields, objects and the newer string type.
    if dtype.hasobject or dtype.itemsize == 0 or numpy.dtype(dtype.str) != dtype:
        raise ValueNotKept(f"a numpy array of dtype {dtype} is not kept; convert it to a plain numeric, time or fixed-width dtype")
    order = "F" if array.flags.f_contiguous and not array.flags.c_contiguous else "C"
    return wire.pack([dtype.str, list(array.shape), order, array.tobytes(order=order)])


def unpack_array(parts: Any) -> Any:
    """Return the array; ValueError where the bytes are not as many as dtype and shape say."""
    import numpy as np  # noqa: ICN001, RUF100 - on use only

    code, shape, order, data = parts
    dtype: Any = np.dtype(code)
    if dtype.hasobject or any(type(side) is not int or side < 0 for side in shape) or order not in ("C", "F"):
        raise ValueError("not an array")
    flat: Any = np.frombuffer(data, dtype=dtype) if data else np.empty(0, dtype=dtype)
    return flat.reshape(shape, order=order).copy(order=order)
