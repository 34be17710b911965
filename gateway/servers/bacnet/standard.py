"""The numbers of the standard that this server uses (ASHRAE 135 clauses 18 and 21), and what a refusal says."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

from gateway.core.errors import Reject

INSTANCE_BITS = 22
WILDCARD = (1 << INSTANCE_BITS) - 1
"""Instance 4194303: "this device" in a read (clause 15.5.2)."""
MAX_APDU = 1476
"""Octets of an APDU over BACnet/IP (clause 20.1.2.5, value B'0101')."""
MAX_SEGMENTS = 64
PROTOCOL_REVISION = 22
LOWEST_PRIORITY = 16

OBJECT_TYPES: dict[str, int] = {
    "analog-input": 0,
    "analog-output": 1,
    "analog-value": 2,
    "binary-input": 3,
    "binary-output": 4,
    "binary-value": 5,
    "device": 8,
    "multi-state-input": 13,
    "multi-state-output": 14,
    "notification-class": 15,
    "multi-state-value": 19,
    "trend-log": 20,
    "characterstring-value": 40,
    "network-port": 56,
}
"""BACnetObjectType by name, the types of this device only."""


class Service(IntEnum):
    """Confirmed services that are executed or refused by name, and the one that is sent."""

    ACKNOWLEDGE_ALARM = 0
    CONFIRMED_COV_NOTIFICATION = 1
    CONFIRMED_EVENT_NOTIFICATION = 2
    GET_ALARM_SUMMARY = 3
    SUBSCRIBE_COV = 5
    ADD_LIST_ELEMENT = 8
    REMOVE_LIST_ELEMENT = 9
    READ_PROPERTY = 12
    READ_PROPERTY_MULTIPLE = 14
    WRITE_PROPERTY = 15
    WRITE_PROPERTY_MULTIPLE = 16
    DEVICE_COMMUNICATION_CONTROL = 17
    REINITIALIZE_DEVICE = 20
    READ_RANGE = 26
    SUBSCRIBE_COV_PROPERTY = 28
    GET_EVENT_INFORMATION = 29


class Unconfirmed(IntEnum):
    """Unconfirmed services that are executed or sent."""

    I_AM = 0
    I_HAVE = 1
    COV_NOTIFICATION = 2
    EVENT_NOTIFICATION = 3
    TIME_SYNCHRONIZATION = 6
    WHO_HAS = 7
    WHO_IS = 8
    UTC_TIME_SYNCHRONIZATION = 9


REINITIALIZE_BIT = 20
SERVICE_BITS: tuple[int, ...] = (0, 3, 5, 8, 9, 12, 14, 15, 16, 17, 32, 33, 34, 35, 36, 38, 39)
"""Bits of BACnetServicesSupported for what is executed: AcknowledgeAlarm, GetAlarmSummary, SubscribeCOV,
AddListElement, RemoveListElement, RP, RPM, WP, WPM, DeviceCommunicationControl,
TimeSynchronization, Who-Has, Who-Is, ReadRange, UTCTimeSynchronization, SubscribeCOVProperty, GetEventInformation."""
SERVICE_BIT_COUNT = 49


class Abort(IntEnum):
    """BACnetAbortReason."""

    OTHER = 0
    BUFFER_OVERFLOW = 1
    OUT_OF_RESOURCES = 9
    APDU_TOO_LONG = 11


class Reliability(IntEnum):
    """BACnetReliability, the values that a point can have."""

    NO_FAULT = 0
    OVER_RANGE = 2
    MULTI_STATE_FAULT = 9
    CONFIGURATION_ERROR = 10
    COMMUNICATION_FAILURE = 12


class Prop(IntEnum):
    """BACnetPropertyIdentifier, the properties of this device."""

    ACKED_TRANSITIONS = 0
    ACK_REQUIRED = 1
    ACTIVE_TEXT = 4
    ALARM_VALUE = 6
    ALARM_VALUES = 7
    ALL = 8
    APDU_SEGMENT_TIMEOUT = 10
    APDU_TIMEOUT = 11
    APPLICATION_SOFTWARE_VERSION = 12
    NOTIFICATION_CLASS = 17
    COV_INCREMENT = 22
    DAYLIGHT_SAVINGS_STATUS = 24
    DEADBAND = 25
    DESCRIPTION = 28
    DEVICE_ADDRESS_BINDING = 30
    EVENT_ENABLE = 35
    EVENT_STATE = 36
    FIRMWARE_REVISION = 44
    HIGH_LIMIT = 45
    INACTIVE_TEXT = 46
    LIMIT_ENABLE = 52
    LOCAL_DATE = 56
    LOCAL_TIME = 57
    LOCATION = 58
    LOW_LIMIT = 59
    MAX_APDU_LENGTH_ACCEPTED = 62
    MAX_PRES_VALUE = 65
    MIN_PRES_VALUE = 69
    MODEL_NAME = 70
    NOTIFY_TYPE = 72
    NUMBER_OF_APDU_RETRIES = 73
    NUMBER_OF_STATES = 74
    OBJECT_IDENTIFIER = 75
    OBJECT_LIST = 76
    OBJECT_NAME = 77
    OBJECT_TYPE = 79
    OPTIONAL = 80
    OUT_OF_SERVICE = 81
    POLARITY = 84
    PRESENT_VALUE = 85
    PRIORITY = 86
    PRIORITY_ARRAY = 87
    PROTOCOL_OBJECT_TYPES_SUPPORTED = 96
    PROTOCOL_SERVICES_SUPPORTED = 97
    PROTOCOL_VERSION = 98
    RECIPIENT_LIST = 102
    RELIABILITY = 103
    RELINQUISH_DEFAULT = 104
    REQUIRED = 105
    SEGMENTATION_SUPPORTED = 107
    STATE_TEXT = 110
    STATUS_FLAGS = 111
    SYSTEM_STATUS = 112
    TIME_DELAY = 113
    UNITS = 117
    UTC_OFFSET = 119
    VENDOR_IDENTIFIER = 120
    VENDOR_NAME = 121
    BUFFER_SIZE = 126
    CLIENT_COV_INCREMENT = 127
    COV_RESUBSCRIPTION_INTERVAL = 128
    EVENT_TIME_STAMPS = 130
    LOG_BUFFER = 131
    LOG_DEVICE_OBJECT_PROPERTY = 132
    ENABLE = 133
    LOG_INTERVAL = 134
    PROTOCOL_REVISION = 139
    RECORD_COUNT = 141
    STOP_WHEN_FULL = 144
    TOTAL_RECORD_COUNT = 145
    ACTIVE_COV_SUBSCRIPTIONS = 152
    DATABASE_REVISION = 155
    MAX_SEGMENTS_ACCEPTED = 167
    ALIGN_INTERVALS = 193
    INTERVAL_OFFSET = 195
    LOGGING_TYPE = 197
    EVENT_MESSAGE_TEXTS = 351
    EVENT_DETECTION_ENABLE = 353
    PROPERTY_LIST = 371
    APDU_LENGTH = 399
    IP_ADDRESS = 400
    IP_DEFAULT_GATEWAY = 401
    IP_DNS_SERVER = 406
    BACNET_IP_MODE = 408
    IP_SUBNET_MASK = 411
    BACNET_IP_UDP_PORT = 412
    CHANGES_PENDING = 416
    FD_BBMD_ADDRESS = 418
    FD_SUBSCRIPTION_LIFETIME = 419
    LINK_SPEED = 420
    MAC_ADDRESS = 423
    NETWORK_NUMBER = 425
    NETWORK_NUMBER_QUALITY = 426
    NETWORK_TYPE = 427
    ROUTING_TABLE = 428
    CURRENT_COMMAND_PRIORITY = 431
    PROTOCOL_LEVEL = 482


class Error(NamedTuple):
    """BACnetErrorClass and BACnetErrorCode (clause 18)."""

    cls: int
    code: int


OPERATIONAL_PROBLEM = Error(0, 25)
UNKNOWN_OBJECT = Error(1, 31)
BUSY = Error(1, 82)
INVALID_DATA_TYPE = Error(2, 9)
READ_ACCESS_DENIED = Error(2, 27)
UNKNOWN_PROPERTY = Error(2, 32)
VALUE_OUT_OF_RANGE = Error(2, 37)
WRITE_ACCESS_DENIED = Error(2, 40)
CHARACTER_SET_NOT_SUPPORTED = Error(2, 41)
INVALID_ARRAY_INDEX = Error(2, 42)
NOT_COV_PROPERTY = Error(2, 44)
NOT_AN_ARRAY = Error(2, 50)
NOT_CONFIGURED = Error(2, 132)
NO_COV = Error(1, 45)
"""Object, optional-functionality-not-supported."""
NO_ALARM_CONFIGURED = Error(1, 74)
NO_SPACE_TO_ADD_LIST_ELEMENT = Error(3, 19)
INVALID_TIME_STAMP = Error(5, 14)
PROPERTY_IS_NOT_A_LIST = Error(5, 22)
INVALID_EVENT_STATE = Error(5, 73)
LIST_ITEM_NOT_NUMBERED = Error(2, 52)
LIST_ITEM_NOT_TIMESTAMPED = Error(2, 53)
LIST_ELEMENT_NOT_FOUND = Error(5, 81)
PASSWORD_FAILURE = Error(4, 26)
SERVICE_REQUEST_DENIED = Error(5, 29)
OPTIONAL_FUNCTIONALITY_NOT_SUPPORTED = Error(5, 45)
ABORT_BUFFER_OVERFLOW = Error(7, 51)

COMMAND_ERRORS: dict[Reject, Error] = {
    Reject.UNKNOWN_POINT: UNKNOWN_OBJECT,
    Reject.NOT_WRITABLE: WRITE_ACCESS_DENIED,
    Reject.NO_RIGHT: WRITE_ACCESS_DENIED,
    Reject.TYPE: INVALID_DATA_TYPE,
    Reject.NOT_FINITE: VALUE_OUT_OF_RANGE,
    Reject.RANGE: VALUE_OUT_OF_RANGE,
    Reject.FLOOR: VALUE_OUT_OF_RANGE,
    Reject.SLOT: WRITE_ACCESS_DENIED,
    Reject.PARTIAL: INVALID_DATA_TYPE,
    Reject.INHIBITED: OPERATIONAL_PROBLEM,
    Reject.BUSY: BUSY,
    Reject.UPSTREAM: OPERATIONAL_PROBLEM,
    Reject.NO_HEARTBEAT: OPERATIONAL_PROBLEM,
    Reject.READ_ONLY: OPERATIONAL_PROBLEM,
}
"""What a refused command is called in BACnet."""


class Refusal(Exception):
    """A well-formed request that cannot be carried out; becomes an Error answer."""

    def __init__(self, error: Error) -> None:
        super().__init__(error)
        self.error = error


def object_key(kind: str, instance: int) -> int:
    """The 32 bits of an object identifier.

    Raises:
        ValueError: the instance is not 0..4194302.
    """
    if not 0 <= instance < WILDCARD:
        raise ValueError(f"bacnet: instance {instance} of {kind} is not 0..{WILDCARD - 1}")
    return (OBJECT_TYPES[kind] << INSTANCE_BITS) | instance
