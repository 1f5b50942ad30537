"""AWS SDK for pandas reads and writes by the local Data API as by the service's."""

import awswrangler as wr
import pytest
from awswrangler.data_api.redshift import RedshiftDataApiFailedException, RedshiftDataApiTimeoutException


def connect(**options):
    return wr.data_api.redshift.connect(workgroup_name="w-1", database="ecommerce_db", **{"sleep": 0.05, **options})


def read(sql, **more):
    return wr.data_api.redshift.read_sql_query(sql, con=connect(), **more)


def test_values_are_read():
    sql = "SELECT 7 AS n, 1.50::decimal(9, 2) AS d, 2.5::float8 AS f, TRUE AS t, 'x' AS s, NULL AS nothing, '2026-01-31'::date AS day"
    frame = read(sql)
    assert list(frame.columns) == ["n", "d", "f", "t", "s", "nothing", "day"]
    assert frame.iloc[0].tolist()[:5] == [7, "1.50", 2.5, True, "x"]
    assert frame["nothing"].isna().all() and frame["day"][0] == "2026-01-31"


def test_pages_are_one_frame():
    assert read("SELECT n FROM generate_series(1, 3000) n ORDER BY n")["n"].tolist() == list(range(1, 3001))


def test_parameters_are_bound():
    frame = read("SELECT :a::int + 1 AS n, :b AS s", parameters=[{"name": "a", "value": "41"}, {"name": "b", "value": "it's"}])
    assert frame.iloc[0].tolist() == [42, "it's"]


def test_what_returns_no_rows_is_an_empty_frame(other):
    assert read(f"CREATE TABLE {other} (a INT)").empty
    assert read(f"INSERT INTO {other} VALUES (1), (2)").empty
    assert read(f"SELECT a FROM {other} ORDER BY a")["a"].tolist() == [1, 2]


def test_a_failure_is_raised_with_its_text():
    with pytest.raises(RedshiftDataApiFailedException, match="FAILED.*ERROR: division by zero"):
        read("SELECT 1/0")


def test_it_gives_up_on_what_takes_longer():
    with pytest.raises(RedshiftDataApiTimeoutException):
        connect(sleep=0.01, backoff=1, retries=3).execute("SELECT pg_sleep(3)")
