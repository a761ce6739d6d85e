from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from farshore_hub.lake.naming import MAX_COLUMNS, SYSTEM_COLUMNS, ColumnMap, ColumnType, field_of, is_json
from tests.hub.lake.values import FIELDS

MET = st.lists(st.tuples(FIELDS, st.sampled_from(ColumnType)), max_size=30)


def test_the_first_type_of_a_field_gets_the_bare_name_and_another_its_own_column() -> None:
    names = ColumnMap()
    assert names.column_of("temp", ColumnType.BIGINT) == "temp"
    assert names.column_of("temp", ColumnType.DOUBLE) == "temp:double"
    assert names.column_of("temp", ColumnType.BIGINT) == "temp"
    assert [each.column for each in names.added] == ["temp", "temp:double"]


def test_nested_values_are_always_in_a_json_column() -> None:
    names = ColumnMap()
    assert names.column_of("tags", ColumnType.JSON) == "tags:json"
    assert names.column_of("tags", ColumnType.VARCHAR) == "tags"
    assert is_json("tags:json")
    assert not is_json("tags")


def test_a_field_that_differs_by_case_alone_is_encoded() -> None:
    names = ColumnMap()
    assert names.column_of("temp", ColumnType.DOUBLE) == "temp"
    assert names.column_of("Temp", ColumnType.DOUBLE) == "%54%65%6D%70"


def test_names_that_sql_or_delta_choke_on_are_encoded() -> None:
    names = ColumnMap()
    assert names.column_of("_site", ColumnType.VARCHAR) == "%5Fsite"
    assert names.column_of("id.orig h", ColumnType.VARCHAR) == "id%2Eorig%20h"
    assert names.column_of("température", ColumnType.DOUBLE) == "température"


def test_names_that_no_store_takes_get_no_column() -> None:
    names = ColumnMap()
    assert [names.column_of(field, ColumnType.DOUBLE) for field in ("", "a\0", "\ud800", "x" * 500)] == [None] * 4


def test_a_table_has_a_bounded_number_of_columns() -> None:
    names = ColumnMap()
    columns = [names.column_of(f"id{n}", ColumnType.BIGINT) for n in range(MAX_COLUMNS + 1)]
    assert columns.index(None) == MAX_COLUMNS


@given(MET)
def test_columns_never_differ_by_case_alone_and_give_back_their_field(met: list[tuple[str, ColumnType]]) -> None:
    names = ColumnMap()
    for field, kind in met:
        names.column_of(field, kind)
    columns = [each.column.casefold() for each in names] + list(SYSTEM_COLUMNS)
    assert len(set(columns)) == len(columns)
    assert all(field_of(each.column) == each.field for each in names)
    assert all(is_json(each.column) == (each.type is ColumnType.JSON) for each in names)


@given(MET)
def test_a_map_made_again_from_its_columns_gives_the_same_names(met: list[tuple[str, ColumnType]]) -> None:
    first = ColumnMap()
    columns = [first.column_of(field, kind) for field, kind in met]
    again = ColumnMap(list(first))
    assert [again.column_of(field, kind) for field, kind in met] == columns
    assert not again.added
