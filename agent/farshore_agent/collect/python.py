"""The Python door: records of the program that holds the agent. Often it is one an append, so the path is short."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from farshore_agent.buffer.model import Admitted, Appended
from farshore_agent.collect.admit import admit, admit_one
from farshore_agent.collect.input import Append
from farshore_agent.errors import RecordsRefused
from farshore_agent.settings.streams import StreamPolicies
from farshore_protocol.ports import Clock


class PythonDoor:
    """`append` for callers in the same process."""

    def __init__(self, append: Append, policies: StreamPolicies, clock: Clock) -> None:
        self._append = append
        self._policies = policies
        self._clock = clock

    async def append(self, stream: str, records: Mapping[str, Any] | Iterable[Mapping[str, Any]]) -> Appended:
        """Store one record or several; returns when they are on disk. They must not be changed until then.

        Times of type datetime become ISO text. Refused records go to the stream's quarantine; the others are kept, and
        the answer counts the refused ones.

        Raises:
            RecordsRefused: all of them, with the reason for each.
            StreamNotFound: the name is not allowed or not declared.
            BufferFull: nothing was stored; try again later.
            TooMuch: more records than one call may carry.
            ValueError: there is no record.
        """
        admitted = self._admitted(stream, records)
        if not admitted.records and not admitted.refused:
            raise ValueError("there are no records to append")
        appended = await self._append(stream, admitted)
        if not admitted.records:
            raise RecordsRefused(stream, admitted.refused)
        return appended

    def _admitted(self, stream: str, records: Mapping[str, Any] | Iterable[Mapping[str, Any]]) -> Admitted:
        policy = self._policies.admitting(stream)
        now_us = self._clock.now_us()
        if isinstance(records, dict):
            return admit_one(records, policy, now_us)
        if isinstance(records, list) and len(records) == 1:
            return admit_one(records[0], policy, now_us)
        return admit(records, policy, now_us)
