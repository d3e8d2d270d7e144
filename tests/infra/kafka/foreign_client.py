"""A Kafka client that is not the platform's, and writes whatever the broker accepts."""

import ctypes
from pathlib import Path
from typing import Any

import confluent_kafka
from confluent_kafka import Producer

from tests.infra.bus.bad_messages import Bad, good_value


class ForeignClient:
    """Writes any record, larger ones than the platform too."""

    def __init__(self, bootstrap: str) -> None:
        self._producer = Producer({"bootstrap.servers": bootstrap, "message.max.bytes": 1_048_000, "log_level": 2})
        self._errors: list[Any] = []

    def write(self, topic: str, bad: Bad) -> None:
        self._producer.produce(
            topic, bad.value, bad.key, headers=bad.all_headers, on_delivery=lambda error, _: self._errors.append(error)
        )

    def flush(self) -> None:
        assert self._producer.flush(20) == 0
        assert not any(self._errors), self._errors


def write_header_name(bootstrap: str, topic: str, name: bytes) -> bool:
    """Write a record with this name of a header, which the Python client can't; False where librdkafka is not found."""
    folders = Path(confluent_kafka.__file__).parent.parent.glob("confluent_kafka.libs/librdkafka*")
    if (path := next(folders, None)) is None:
        return False
    library, pointer, integer = ctypes.CDLL(str(path)), ctypes.c_void_p, ctypes.c_int
    for function in ("conf_new", "new", "headers_new"):
        getattr(library, f"rd_kafka_{function}").restype = pointer
    error = ctypes.create_string_buffer(512)
    settings = pointer(library.rd_kafka_conf_new())
    library.rd_kafka_conf_set(settings, b"bootstrap.servers", bootstrap.encode(), error, 512)
    client = pointer(library.rd_kafka_new(0, settings, error, 512))
    headers = pointer(library.rd_kafka_headers_new(ctypes.c_size_t(1)))
    library.rd_kafka_header_add(headers, name, ctypes.c_ssize_t(len(name)), b"x", ctypes.c_ssize_t(1))
    # The tags of the arguments are those of rd_kafka_vtype_t: topic, value, flags (copy the value), headers, end.
    value = (integer(4), good_value("A", 7), ctypes.c_size_t(len(good_value("A", 7))))
    assert not library.rd_kafka_producev(
        client, integer(1), topic.encode(), *value, integer(7), integer(2), integer(10), headers, integer(0)
    )
    assert not library.rd_kafka_flush(client, 20_000)
    library.rd_kafka_destroy(client)
    return True
