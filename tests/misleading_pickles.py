"""Values whose pickles make NumPy use bytes as addresses, unless the reader creates its own values."""

import numpy as np


class NumPyType:
    """A type of objects whose state clears the flag of objects, so that bytes are used as their addresses."""

    def __reduce__(self):
        return np.dtype, ("O8", False, True), (3, "|", None, None, None, -1, -1, 0)


class Objects:
    def __reduce__(self):
        state = (1, (1,), NumPyType(), False, b"\x10" + bytes(7))
        return np.zeros(1).__reduce__()[0], (np.ndarray, (0,), b"b"), state


class Number:
    def __reduce__(self):
        return np.float64(0).__reduce__()[0], (NumPyType(), b"\x10" + bytes(7))
