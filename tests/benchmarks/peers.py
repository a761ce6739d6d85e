"""What other formats make of the same batch, each by its own library. A peer is a function from records to bytes."""

from __future__ import annotations

import gzip
import json
import lzma
from collections.abc import Callable
from typing import Any, Final, TypeAlias

import msgspec
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import zstandard
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList

from farshore_protocol.event_time import event_time_us
from tests.benchmarks.datasets import is_time_text

Record: TypeAlias = dict[str, Any]
Peer: TypeAlias = Callable[[list[Record]], bytes]

DICTIONARY_BYTES: Final = 64 * 1024
_RECORDS_PER_SAMPLE: Final = 10
_ZSTD: Final = zstandard.ZstdCompressor(level=19, write_checksum=False, write_content_size=False)


class CannotCarry(Exception):
    """A format has no form for these records, such as values of several types under one key."""


def all_peers(training: list[Record]) -> dict[str, Peer]:
    """Every peer by name. One gets a dictionary made of `training`; it is left out where zstd cannot train."""
    peers: dict[str, Peer] = {
        "NDJSON+zstd-19": lambda records: _ZSTD.compress(ndjson(records)),
        "NDJSON+LZMA": lambda records: lzma.compress(ndjson(records), lzma.FORMAT_ALONE, preset=6),
        "msgpack+zstd-19": lambda records: _ZSTD.compress(msgspec.msgpack.encode(records)),
        "Parquet zstd tuned": parquet,
        "OTLP+gzip": lambda records: gzip.compress(otlp(records), 6, mtime=0),
    }
    with_dictionary = _with_trained_dictionary(training)
    if with_dictionary:
        peers["NDJSON+zstd-19+dictionary"] = with_dictionary
    return peers


def ndjson(records: list[Record]) -> bytes:
    """One JSON object a line."""
    try:
        return b"".join(orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE) for record in records)
    except TypeError:  # an integer over 64 bits
        return b"".join(json.dumps(record, separators=(",", ":")).encode() + b"\n" for record in records)


def _with_trained_dictionary(training: list[Record]) -> Peer | None:
    samples: list[bytes | bytearray | memoryview] = [
        ndjson(training[start : start + _RECORDS_PER_SAMPLE]) for start in range(0, len(training), _RECORDS_PER_SAMPLE)
    ]
    try:
        dictionary = zstandard.train_dictionary(DICTIONARY_BYTES, samples, level=19)
    except zstandard.ZstdError:
        return None
    compressor = zstandard.ZstdCompressor(
        level=19, dict_data=dictionary, write_checksum=False, write_content_size=False, write_dict_id=False
    )
    return lambda records: compressor.compress(ndjson(records))


def parquet(records: list[Record]) -> bytes:
    """Parquet with zstd-19, no statistics, and per column the encoding that suits it."""
    keys = dict.fromkeys(key for record in records for key in record)
    try:
        table = pa.Table.from_pylist([{key: record.get(key) for key in keys} for record in records])
    except pa.ArrowException as error:
        raise CannotCarry("Parquet") from error
    encodings, with_dictionary = {}, []
    for column in table.schema:
        has_few = _has_few_values(table, column.name)
        if pa.types.is_integer(column.type):
            encodings[column.name] = "DELTA_BINARY_PACKED"
        elif pa.types.is_floating(column.type) and not has_few:
            encodings[column.name] = "BYTE_STREAM_SPLIT"
        elif pa.types.is_string(column.type) and not has_few:
            encodings[column.name] = "DELTA_BYTE_ARRAY"
        else:
            with_dictionary.append(column.name)
    sizes = []
    for options in ({"use_dictionary": with_dictionary, "column_encoding": encodings or None}, {}):
        sink = pa.BufferOutputStream()
        pq.write_table(
            table, sink, compression="zstd", compression_level=19, write_statistics=False, store_schema=False, **options
        )
        sizes.append(sink.getvalue().to_pybytes())
    return bytes(min(sizes, key=len))


def _has_few_values(table: pa.Table, name: str) -> bool:
    return len(set(map(repr, table.column(name).to_pylist()))) * 2 <= len(table)


def otlp(records: list[Record]) -> bytes:
    """OTLP metrics if records are mostly numbers (a gauge per number, texts as attributes), else OTLP logs."""
    cells = list(records[0].values())
    is_telemetry = 2 * sum(isinstance(cell, int | float) or cell is None for cell in cells) >= len(cells)
    return _otlp_metrics(records) if is_telemetry else _otlp_logs(records)


def _otlp_metrics(records: list[Record]) -> bytes:
    request = ExportMetricsServiceRequest()
    scope = request.resource_metrics.add().scope_metrics.add()
    gauges: dict[str, Any] = {}
    time_key = next((key for key, cell in records[0].items() if is_time_text(cell)), None)
    for record in records:
        texts = [(key, cell) for key, cell in record.items() if isinstance(cell, str) and key != time_key]
        attributes = [KeyValue(key=key, value=_any(cell)) for key, cell in texts]
        time_ns = event_time_us(record[time_key]) * 1000 if time_key else 0
        for key, cell in record.items():
            if isinstance(cell, int | float):
                if key not in gauges:
                    gauges[key] = scope.metrics.add(name=key).gauge.data_points
                number = {"as_int": cell} if isinstance(cell, int) else {"as_double": cell}
                gauges[key].add(time_unix_nano=time_ns, attributes=attributes, **number)
    return bytes(request.SerializeToString())


def _otlp_logs(records: list[Record]) -> bytes:
    request = ExportLogsServiceRequest()
    scope = request.resource_logs.add().scope_logs.add()
    for record in records:
        log = scope.log_records.add()
        if list(record) == ["message"]:
            log.body.string_value = record["message"]
        else:
            log.attributes.extend(KeyValue(key=key, value=_any(cell)) for key, cell in record.items())
    return bytes(request.SerializeToString())


def _any(cell: object) -> AnyValue:  # noqa: PLR0911  a return for each type
    if cell is None:
        return AnyValue()
    if isinstance(cell, bool):
        return AnyValue(bool_value=cell)
    if isinstance(cell, int):
        return AnyValue(int_value=cell)
    if isinstance(cell, float):
        return AnyValue(double_value=cell)
    if isinstance(cell, str):
        return AnyValue(string_value=cell)
    if isinstance(cell, dict):
        pairs = [KeyValue(key=key, value=_any(inner)) for key, inner in cell.items()]
        return AnyValue(kvlist_value=KeyValueList(values=pairs))
    items = cell if isinstance(cell, list) else [str(cell)]
    return AnyValue(array_value=ArrayValue(values=list(map(_any, items))))
