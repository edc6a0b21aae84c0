"""The API of TensorFlowOnSpark, for programs that were written for it.

A thin layer on top of `tensorsparkml`. New programs should use `tensorsparkml` directly. The page
"TensorFlowOnSpark programs" of the documentation lists the replacement of every name.
"""

from tensorsparkml import __version__

__all__ = ["__version__"]
