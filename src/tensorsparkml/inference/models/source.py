"""Where a model comes from, as every process of a job gets to know it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from tensorsparkml.errors import ConfigurationError


class Kind(Enum):
    """What a model's files are."""

    UNKNOWN = "unknown files"
    SAVED_MODEL = "a SavedModel"
    KERAS = "a Keras model"
    WEIGHTS = "weights of a Keras model"
    FUNCTION = "a function"


class Content(Protocol):
    """Bytes that tasks read when they need them, such as a broadcast variable of Spark's."""

    @property
    def value(self) -> bytes:
        """The bytes."""


@dataclass(frozen=True)
class KerasArchive:
    """A `.keras` file that comes with a job, and lies on no filesystem.

    Attributes:
        digest: Differs where the content does.
        content: What is in the file.
    """

    digest: str
    content: Content = field(compare=False, repr=False)


@dataclass(frozen=True)
class ModelSource:
    """Where a model comes from.

    Attributes:
        kind: What its files are.
        path: Absolute path or URI of its file or folder, or None for a function or an archive.
        signature: Name of the signature of a SavedModel.
        pickled: What the user's own code brings, pickled: the function that returns the model, and
            the classes that a Keras model needs, by their registered names.
        jit_compile: Whether XLA compiles it.
        mixed_precision: Whether TensorFlow computes in half precision where it considers this safe.
        archive: The file itself, of the kind `KERAS`, where it has no path.
    """

    kind: Kind
    path: str | None
    signature: str = "serving_default"
    pickled: bytes | None = field(default=None, repr=False)
    jit_compile: bool = False
    mixed_precision: bool = False
    archive: KerasArchive | None = None

    def __str__(self) -> str:
        if self.path is not None:
            return f"the model in {self.path}"
        return "the function" if self.archive is None else "the model"

    def check_signature(self, names: Iterable[str]) -> None:
        """Check that a SavedModel has the signature.

        Args:
            names: Names of its signatures.

        Raises:
            ConfigurationError: It has not.
        """
        found = sorted(names)
        if self.signature not in found:
            raise ConfigurationError(
                f"{self} has no signature {self.signature!r}; it has {', '.join(map(repr, found))}"
            )


def kind_of(path: str, names: Sequence[str], *, has_builder: bool) -> Kind:
    """Return what a model's files are.

    Args:
        path: Where they are.
        names: Their paths below `path`; that of a single file is empty.
        has_builder: Whether the user has given a function that builds the model.

    Raises:
        ConfigurationError: They are no model.
    """
    if has_builder:
        if not path.endswith(".weights.h5"):
            raise ConfigurationError(
                f"build= is for weights, in a file named *.weights.h5, but the model is {path}; "
                "leave build out, or save the weights with model.save_weights"
            )
        return Kind.WEIGHTS
    if path.endswith(".weights.h5"):
        raise ConfigurationError(
            f"{path} has weights only; pass build=, a function that returns the model they are for"
        )
    if "" in names:
        if path.endswith((".keras", ".h5", ".hdf5")):
            return Kind.KERAS
        found = f"{path} is a file, but none named *.keras or *.h5"
    elif "saved_model.pb" in names:
        return Kind.SAVED_MODEL
    else:
        listed = ", ".join(sorted(names)[:10]) or "nothing"
        found = f"there is no saved_model.pb in {path}; it has {listed}"
    raise ConfigurationError(
        f"there is no model: {found}. Write one with ctx.export, keras.Model.export, or "
        "model.save('….keras')"
    )
