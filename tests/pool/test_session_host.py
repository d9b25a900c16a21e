"""What keeps an idle session actor cheap."""

from __future__ import annotations

import inspect

from gateway.compose.session_host import SessionHost


def test_no_method_is_a_coroutine_or_ray_would_take_the_main_thread_back() -> None:
    methods = inspect.getmembers(SessionHost, inspect.isfunction)
    assert {name for name, _ in methods} >= {"start", "live"}
    assert not [name for name, method in methods if inspect.iscoroutinefunction(method)]
