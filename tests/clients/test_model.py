"""Every answer and every error is of the API's model, as botocore has it."""

import csv

import boto3
import pytest
from botocore.exceptions import ClientError
from conftest import TARGET, _once
from model import Checked, faults

UNKNOWN = "5b2d1a56-8d5c-4a8c-9d4e-0f6a4a1d2c3b"
# What is refused by name, and listed in the README.
MISSING = set()


@pytest.fixture
def checked():
    checked = Checked(boto3.client("redshift-data", config=_once))
    yield checked
    assert checked.faults == []


def refused(call, **request):
    with pytest.raises(ClientError) as error:
        call(**request)
    return error.value.response["Error"]


def test_a_fault_is_found():
    shape = boto3.client("redshift-data").meta.service_model.operation_model("DescribeStatement").output_shape
    assert list(faults(shape, {"Id": UNKNOWN, "Status": "FINISHED", "Duration": -1})) == []
    wrong = {"Status": "DONE", "Duration": "1", "CreatedAt": "today", "HasResultSet": 1, "Extra": 1}
    assert len(list(faults(shape, wrong))) == 6


def test_a_statement(checked):
    data = checked.client
    running = data.execute_statement(**TARGET, Sql="SELECT pg_sleep(30)", StatementName="model/1")
    data.describe_statement(Id=running["Id"])
    data.list_statements(Status="ALL", StatementName="model/", **TARGET)
    refused(data.get_statement_result, Id=running["Id"])
    data.cancel_statement(Id=running["Id"])
    data.describe_statement(Id=running["Id"], WaitTimeSeconds=20)
    types = """SELECT 1::int2, 2::int4, 3::int8, 'NaN'::float8 AS nan, '-Infinity'::float4, 1.5::float4, 1.50::decimal(9, 2), TRUE,
        'x'::varchar(9), 'y'::char(3), NULL, current_date, current_time, getdate(), current_timestamp, '\\x6162'::varbyte,
        INTERVAL '1 day', ARRAY[1, 2], ROW(1, 'a'), json_parse('{"a": 1}'), 'e' AS \"Ü\""""
    answer = data.execute_statement(**TARGET, Sql=types, WaitTimeSeconds=20)
    assert answer["Status"] == "FINISHED", data.describe_statement(Id=answer["Id"]).get("Error")
    data.get_statement_result(Id=answer["Id"])
    parameters = [{"name": "a", "value": "1"}]
    answer = data.execute_statement(**TARGET, Sql="SELECT :a", Parameters=parameters, ClientToken="model", WaitTimeSeconds=20)
    data.describe_statement(Id=answer["Id"])
    assert data.execute_statement(**TARGET, Sql="SELECT :a", Parameters=parameters, ClientToken="model")["Id"] == answer["Id"]
    rows = data.execute_statement(**TARGET, Sql="SELECT n, n FROM generate_series(1, 2500) n", WaitTimeSeconds=20)
    pages = data.get_paginator("get_statement_result").paginate(Id=rows["Id"])
    assert sum(len(page["Records"]) for page in pages) == 2500
    for sql in ["SELECT 1/0", "SELECT nope", "CREATE TABLE IF NOT EXISTS model_made (a INT)", "INSERT INTO model_made VALUES (1)"]:
        ended = data.execute_statement(**TARGET, Sql=sql, WaitTimeSeconds=20)
        data.describe_statement(Id=ended["Id"])


def test_a_batch(checked):
    data = checked.client
    for mode in ["TRANSACTION", "AUTO_COMMIT"]:
        for sqls in [["SELECT 1", "SELECT :a"], ["SELECT 1/0", "SELECT :a"]]:
            parameters = [{"name": "a", "value": "1"}]
            batch = data.batch_execute_statement(
                **TARGET, Sqls=sqls, Parameters=parameters, ExecutionMode=mode, StatementName="batch", WaitTimeSeconds=20
            )
            described = data.describe_statement(Id=batch["Id"])
            for part in described["SubStatements"]:
                data.describe_statement(Id=part["Id"])
                if part["Status"] == "FINISHED" and described["Status"] == "FINISHED":
                    data.get_statement_result(Id=part["Id"])
    data.list_statements(Status="ALL", StatementName="batch")
    assert refused(data.get_statement_result, Id=batch["Id"])["Code"] == "ValidationException"


def test_csv(checked):
    data = checked.client
    sql = "SELECT n, 'a,b' AS t, NULL AS nothing FROM generate_series(1, 2500) n"
    answer = data.execute_statement(**TARGET, Sql=sql, ResultFormat="CSV", WaitTimeSeconds=20)
    pages = data.get_paginator("get_statement_result_v2").paginate(Id=answer["Id"])
    rows = list(csv.reader("".join(records["CSVRecords"] for page in pages for records in page["Records"]).splitlines()))
    assert rows[0] == ["n", "t", "nothing"] and rows[-1] == ["2500", "a,b", ""] and len(rows) == 2501
    data.describe_statement(Id=answer["Id"])
    empty = data.execute_statement(**TARGET, Sql="SELECT 1 WHERE FALSE", ResultFormat="CSV", WaitTimeSeconds=20)
    assert data.get_statement_result_v2(Id=empty["Id"])["Records"] == []
    refused(data.get_statement_result, Id=answer["Id"])


def test_a_session(checked):
    data = checked.client
    opened = data.execute_statement(**TARGET, Sql="CREATE TEMP TABLE kept (a INT)", SessionKeepAliveSeconds=60, WaitTimeSeconds=20)
    session = opened["SessionId"]
    data.describe_statement(Id=opened["Id"])
    ran = data.execute_statement(SessionId=session, Sql="SELECT a FROM kept", WaitTimeSeconds=20)
    assert ran["Status"] == "FINISHED"
    data.get_statement_result(Id=ran["Id"])
    data.list_statements(Status="ALL", MaxResults=1)
    [one] = data.list_sessions(SessionId=session)["Sessions"]
    assert one["Status"] == "AVAILABLE"
    busy = data.execute_statement(SessionId=session, Sql="SELECT pg_sleep(20)", SessionKeepAliveSeconds=1)
    refused(data.execute_statement, SessionId=session, Sql="SELECT 1")
    data.list_sessions(Status="BUSY")
    data.cancel_statement(Id=busy["Id"])
    refused(data.execute_statement, SessionId=UNKNOWN, Sql="SELECT 1")
    refused(data.list_sessions, SessionId=UNKNOWN)


def test_the_catalog(checked):
    data = checked.client
    data.execute_statement(**TARGET, Sql="CREATE TABLE IF NOT EXISTS model_listed (a INT, b VARCHAR(9))", WaitTimeSeconds=20)
    data.list_databases(**TARGET)
    for page in data.get_paginator("list_schemas").paginate(**TARGET, MaxResults=1):
        assert len(page["Schemas"]) <= 1
    data.list_tables(**TARGET, TablePattern="model%")
    assert len(data.describe_table(**TARGET, Table="model_listed")["ColumnList"]) == 2


def test_refusals(checked):
    data = checked.client
    for call, request in [
        (data.execute_statement, {"Sql": "SELECT 1"}),
        (data.execute_statement, {**TARGET, "Sql": "SELECT 1", "ClusterIdentifier": "c-1"}),
        (data.execute_statement, {"WorkgroupName": "nowhere", "Database": "x", "Sql": "SELECT 1"}),
        (data.execute_statement, {**TARGET, "Sql": "SELECT 1; SELECT 2"}),
        (data.execute_statement, {**TARGET, "Sql": "SELECT 1", "Parameters": [{"name": "a", "value": "1"}]}),
        (data.execute_statement, {**TARGET, "Sql": "SELECT 1", "WaitTimeSeconds": 31}),
        (data.batch_execute_statement, {**TARGET, "Sqls": ["SELECT 1"] * 41}),
        (data.describe_statement, {"Id": UNKNOWN}),
        (data.describe_statement, {"Id": "no id"}),
        (data.get_statement_result, {"Id": UNKNOWN}),
        (data.cancel_statement, {"Id": UNKNOWN}),
        (data.list_statements, {"MaxResults": 101}),
        (data.list_statements, {"NextToken": "x"}),
        (data.list_databases, {**TARGET, "NextToken": "x"}),
        (data.list_tables, {**TARGET, "Database": "nowhere"}),
    ]:
        refused(call, **request)


def test_every_operation_is_there(checked):
    """Each is asked with what its model requires; what is not there is listed as missing."""
    values = {"Id": UNKNOWN, "Database": "ecommerce_db", "Sql": "SELECT 1", "Sqls": ["SELECT 1"], "WorkgroupName": "w-1"}
    missing = set()
    for name in checked.client.meta.service_model.operation_names:
        operation = checked.client.meta.service_model.operation_model(name)
        request = {member: values[member] for member in operation.input_shape.required_members}
        if "WorkgroupName" in operation.input_shape.members:
            request["WorkgroupName"] = "w-1"
        if "Database" in operation.input_shape.members:
            request["Database"] = "ecommerce_db"
        try:
            checked.client._make_api_call(name, request)
        except ClientError as error:
            if error.response["Error"]["Code"] == "UnknownOperationException":
                missing.add(name)
    checked.faults = [fault for fault in checked.faults if "UnknownOperationException" not in fault]
    assert missing == MISSING
