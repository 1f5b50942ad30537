"""Airflow's hook and operator run by the local Data API as by the service's."""

from unittest.mock import Mock

import pytest
from airflow.providers.amazon.aws.hooks.redshift_data import (
    RedshiftDataHook,
    RedshiftDataQueryAbortedError,
    RedshiftDataQueryFailedError,
)
from airflow.providers.amazon.aws.operators.redshift_data import RedshiftDataOperator

TARGET = {"workgroup_name": "w-1", "database": "ecommerce_db"}


@pytest.fixture
def hook():
    return RedshiftDataHook(aws_conn_id=None, region_name="us-east-1")


def test_a_statement_and_a_batch_are_waited_for(hook, other):
    made = hook.execute_query(f"CREATE TABLE {other} (a INT)", **TARGET, poll_interval=0.1)
    assert hook.check_query_is_finished(made.statement_id) and made.session_id is None
    batch = hook.execute_query([f"INSERT INTO {other} VALUES (1)", f"SELECT a FROM {other}"], **TARGET, poll_interval=0.1)
    assert hook.conn.get_statement_result(Id=f"{batch.statement_id}:2")["Records"] == [[{"longValue": 1}]]


def test_parameters_are_bound(hook):
    parameters = [{"name": "a", "value": "41"}]
    ran = hook.execute_query("SELECT :a::int + 1", parameters=parameters, **TARGET, poll_interval=0.1)
    assert hook.conn.get_statement_result(Id=ran.statement_id)["Records"] == [[{"longValue": 42}]]


def test_a_session_is_used_again(hook):
    opened = hook.execute_query("CREATE TEMP TABLE kept (a INT)", session_keep_alive_seconds=60, **TARGET, poll_interval=0.1)
    ran = hook.execute_query("SELECT COUNT(*) FROM kept", session_id=opened.session_id, poll_interval=0.1)
    assert hook.conn.get_statement_result(Id=ran.statement_id)["Records"] == [[{"longValue": 0}]]


@pytest.mark.parametrize("sql", ["SELECT 1/0", ["SELECT 1", "SELECT 1/0"]])
def test_a_failure_is_raised_with_its_text(hook, sql):
    with pytest.raises(RedshiftDataQueryFailedError, match="ERROR: division by zero"):
        hook.execute_query(sql, **TARGET, poll_interval=0.1)


def test_what_runs_is_not_finished_and_a_cancel_is_raised(hook):
    ran = hook.execute_query("SELECT pg_sleep(20)", **TARGET, wait_for_completion=False)
    assert not hook.check_query_is_finished(ran.statement_id)
    hook.conn.cancel_statement(Id=ran.statement_id)
    with pytest.raises(RedshiftDataQueryAbortedError, match="cancelled on user's request"):
        hook.wait_for_results(ran.statement_id, poll_interval=0.1)


def test_a_primary_key_is_not_found(hook, other):
    """On Redshift it is ["a", "b"]. Here keys are left out, of information_schema as well, as the README lists."""
    hook.execute_query(f"CREATE TABLE {other} (a INT, b INT, c INT, PRIMARY KEY (a, b))", **TARGET, poll_interval=0.1)
    # The hook does not quote names.
    assert hook.get_table_primary_key(f"'{other}'", schema="'public'", **TARGET, poll_interval=0.1) is None


def test_a_target_that_is_not_there_is_refused(hook):
    with pytest.raises(hook.conn.exceptions.ValidationException, match="Redshift endpoint doesn't exist in this region"):
        hook.execute_query("SELECT 1", workgroup_name="nowhere", database="ecommerce_db")


def operator(**options):
    return RedshiftDataOperator(
        task_id="load", aws_conn_id=None, region_name="us-east-1", poll_interval=0.1, **TARGET, **options
    )


def test_the_operator_returns_the_rows():
    # It reads one page alone, on AWS as well.
    [page] = operator(sql="SELECT n FROM generate_series(1, 900) n", return_sql_result=True).execute({})
    assert page["TotalNumRows"] == len(page["Records"]) == 900


def test_the_operator_returns_the_rows_of_a_batch():
    pages = operator(sql=["SELECT 1", "SELECT 2"], return_sql_result=True).execute({})
    assert [page["Records"] for page in pages] == [[[{"longValue": 1}]], [[{"longValue": 2}]]]


def test_the_operator_cancels_what_is_killed():
    load = operator(sql="SELECT pg_sleep(20)", wait_for_completion=False)
    [load.statement_id] = load.execute({})
    load.on_kill()
    assert load.hook.conn.describe_statement(Id=load.statement_id, WaitTimeSeconds=10)["Status"] == "ABORTED"


@pytest.mark.parametrize("sql", ["SELECT 1/0", ["SELECT 1", "SELECT 1/0"]])
def test_the_operator_fails_with_the_statement(sql):
    with pytest.raises(RedshiftDataQueryFailedError, match="FAILED"):
        operator(sql=sql).execute({})


def test_the_operator_hands_its_session_on():
    task = Mock()
    operator(sql="CREATE TEMP TABLE handed (a INT)", session_keep_alive_seconds=60).execute({"ti": task})
    session = task.xcom_push.call_args.kwargs["value"]
    read = RedshiftDataOperator(
        task_id="read",
        aws_conn_id=None,
        region_name="us-east-1",
        poll_interval=0.1,
        session_id=session,
        sql="SELECT COUNT(*) FROM handed",
        return_sql_result=True,
    )
    [page] = read.execute({"ti": task})
    assert page["Records"] == [[{"longValue": 0}]]
