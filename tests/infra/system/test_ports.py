"""Listening on a port, and the error that names the process that occupies it."""

import os
import socket

import pytest

from ticketing.infra.system.ports import CannotListen, free_port, listen


def test_a_taken_port_is_named_with_its_owner() -> None:
    port = free_port()
    with listen("127.0.0.1", port), pytest.raises(CannotListen) as caught:
        listen("127.0.0.1", port)
    assert str(caught.value).startswith(f"Port {port} is taken")
    assert f"process {os.getpid()}" in str(caught.value)
    assert "--port or PORT" in str(caught.value)


def test_several_processes_can_accept_from_one_listener() -> None:
    with listen("127.0.0.1", free_port()) as listener, socket.socket(fileno=os.dup(listener.fileno())) as shared:
        assert shared.getsockname() == listener.getsockname()


def test_an_address_of_another_machine_is_refused_with_the_reason() -> None:
    with pytest.raises(CannotListen, match=r"^Port 8123 on 203\.0\.113\.1: .*; choose another"):
        listen("203.0.113.1", 8123)
