"""Exceptions. Each is also a built-in exception of its kind, so that `except ValueError` works as elsewhere."""


class MaculaError(Exception):
    """Base of all exceptions of this package."""


class InputError(MaculaError, ValueError):
    """An argument has the wrong type, shape or value."""


class EncoderError(MaculaError, ValueError):
    """An encoder cannot be opened or run."""


class DataError(MaculaError, OSError):
    """Images or a dataset cannot be read."""


class DeviceError(MaculaError, OSError):
    """A device, its store or the line to it is at fault."""


class RefusedError(MaculaError, ValueError):
    """A device refused a request; nothing has changed."""


class TrainingError(MaculaError, RuntimeError):
    """Training failed: it diverged, the encoder collapsed, or its files cannot be written."""


class InternalError(MaculaError, RuntimeError):
    """The package is at fault: please report it."""
