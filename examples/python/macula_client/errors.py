"""Errors: refusals by the device, missing replies, broken connections."""

import enum


class DeviceError(Exception):
    """A request was not carried out, or it is unknown whether it was."""


class ConnectionLost(DeviceError):
    """The other end closed the connection, or it broke."""


class NoReply(DeviceError):
    """No reply came in time, however often the request was sent."""


class BadReply(DeviceError):
    """A frame was intact, but its message cannot be read or answers another kind of request."""


class Reason(enum.IntEnum):
    """Why a device refuses a request. Later devices may have more reasons."""

    MALFORMED = 1
    MESSAGE_TOO_LONG = 2
    VERSION = 3
    NO_SESSION = 4
    NAME = 5
    NAME_TAKEN = 6
    CLASSES_FULL = 7
    NO_SUCH_CLASS = 8
    SUPPORTS_FULL = 9
    SOURCE_TAKEN = 10
    FEATURE_BYTES = 11
    FEATURE_LENGTH = 12
    IMAGE_BYTES = 13
    IMAGE_CHANNELS = 14
    IMAGE_OFFSET = 15
    IMAGE_MISSING = 16
    NO_ENCODER = 17
    ENCODER_FAILED = 18
    STORE_FULL = 19
    STORE_FAULT = 20
    NOTHING_LEARNED = 21
    NO_SUCH_HEAD = 22
    ERROR_RATE = 23
    HEAD_FAILED = 24
    CURSOR = 25
    NOT_CONFIRMED = 26
    NO_BUNDLES = 27
    BUNDLE_BYTES = 28
    BUNDLE_OFFSET = 29
    BUNDLE_MISSING = 30
    BUNDLE_HASH = 31
    BUNDLE_REFUSED = 32
    BUNDLE_FAULT = 33
    BUNDLE_OLDER = 34
    WOULD_FORGET = 35
    BUNDLE_SAME_COUNTER = 36
    OPERATING_POINT = 37


class Refused(DeviceError):
    """The device refused a request and changed nothing."""

    def __init__(self, reason: int, found: int, limit: int) -> None:
        self.reason: int = Reason(reason) if reason in set(Reason) else reason
        """A `Reason`, or the number of one that this client does not know."""
        self.found = found
        self.limit = limit
        name = self.reason.name.lower().replace("_", " ") if isinstance(self.reason, Reason) else "unknown reason"
        super().__init__(f"the device refused the request: {name} (reason {reason}, found {found}, limit {limit})")
