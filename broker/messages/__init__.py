"""The wire between widgets and broker, defined once.

Two closed unions: `ClientMessage` (imperatives, widget to broker) and `BrokerMessage` (facts,
broker to widget), and a small one for an agent's login (`login.LoginMessage`), which only gateways
import. JavaScript types and the tables of `docs/protocol.md` are generated from here (`make
generate`); drift fails a test. The broker refuses unknown types and fields; widgets ignore them.
Within one `PROTOCOL_MAJOR` changes only add.
"""

from broker.messages.client import (
    CLIENT_MESSAGES,
    ClientMessage,
    decode_client_message,
)
from broker.messages.facts import BROKER_MESSAGES, BrokerMessage, encode
from broker.messages.parts import (
    MAX_MESSAGE_BYTES,
    PROTOCOL_MAJOR,
    PROTOCOL_REVISION,
    SUBPROTOCOL,
)

__all__ = [
    "BROKER_MESSAGES",
    "CLIENT_MESSAGES",
    "MAX_MESSAGE_BYTES",
    "PROTOCOL_MAJOR",
    "PROTOCOL_REVISION",
    "SUBPROTOCOL",
    "BrokerMessage",
    "ClientMessage",
    "decode_client_message",
    "encode",
]
