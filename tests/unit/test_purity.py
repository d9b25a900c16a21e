"""The unit tests' own guard holds."""

from __future__ import annotations

import importlib
import socket

import pytest


def test_sockets_are_refused() -> None:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock,
        pytest.raises(AssertionError, match="must not"),
    ):
        sock.bind(("127.0.0.1", 0))


def test_ray_does_not_start() -> None:
    with pytest.raises((AssertionError, ImportError)):
        importlib.import_module("ray").init()
