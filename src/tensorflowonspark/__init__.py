"""The API of TensorFlowOnSpark, for programs that were written for it.

A thin translation to `tensorsparkml`, which new programs use itself. The page TensorFlowOnSpark of
the documentation says what stands for what.
"""

from tensorsparkml import __version__

__all__ = ["__version__"]
