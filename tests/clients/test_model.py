"""Every answer and every error is of the API's model, as botocore has it."""

import csv

import boto3
import pytest
from botocore.exceptions import ClientError
from conftest import TARGET, UNKNOWN, once
from model import Checked, Seen, faults, members, requests

CLUSTER = {"ClusterIdentifier": "c-1", "Database": "ecommerce_db"}
SEEN = Seen()
# What no answer has, and why.
NEVER = {
    "BatchExecuteStatement.DbGroups": "recorded answers lack it, or have an empty list",
    "ExecuteStatement.DbGroups": "recorded answers lack it, or have an empty list",
    "DescribeStatement.RedshiftQueryUuid": "it is of SYS_QUERY_HISTORY, which is not here",
    "DescribeStatement.SubStatements.RedshiftQueryUuid": "it is of SYS_QUERY_HISTORY, which is not here",
    "GetStatementResult.Records.blobValue": "recorded: VARBYTE arrives as a stringValue",
    "GetStatementResult.ColumnMetadata.columnDefault": "the driver has no defaults of a result's columns",
    "GetStatementResultV2.ColumnMetadata.columnDefault": "the driver has no defaults of a result's columns",
}


def client():
    return boto3.client("redshift-data", config=once)


@pytest.fixture
def checked():
    checked = Checked(client(), SEEN)
    yield checked
    assert checked.faults == []


def refused(call, **request):
    with pytest.raises(ClientError) as error:
        call(**request)
    return error.value.response["Error"]


def test_a_fault_is_found():
    model = client().meta.service_model

    def wrong(operation, value):
        return sorted(fault.split(": ")[0] for fault in faults(model.operation_model(operation).output_shape, value))

    assert wrong("DescribeStatement", {"Id": UNKNOWN, "Status": "FINISHED", "Duration": -1, "ResultFormat": "json"}) == []
    answer = {"Status": "DONE", "Duration": "1", "CreatedAt": "today", "HasResultSet": 1, "Extra": 1, "ResultRows": None}
    assert wrong("DescribeStatement", answer) == sorted(
        ["$", "$", "$.Status", "$.Duration", "$.CreatedAt", "$.HasResultSet", "$.ResultRows"]
    )
    limits = {"Id": "x", "UpdatedAt": 1, "WorkgroupName": "W-1", "QueryParameters": [], "ResultRows": 2**63}
    assert wrong("DescribeStatement", limits) == sorted("$." + name for name in limits)
    fields = [{"longValue": 1, "isNull": True}, {}, {"doubleValue": "NaN"}]
    assert wrong("GetStatementResult", {"Records": [fields]}) == ["$.Records[0][0]", "$.Records[0][1]"]
    # Hence what botocore makes of an answer is no test of it.
    assert client().meta.service_model.operation_model("DescribeStatement").output_shape.required_members == ["Id"]


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


def test_a_cluster(checked, other):
    """What names a user or a secret is a cluster."""
    data = checked.client
    for who in [{"DbUser": "awsuser"}, {"SecretArn": "arn:aws:secretsmanager:us-east-1:111122223333:secret:s"}]:
        kept = {**CLUSTER, **who, "StatementName": other, "SessionKeepAliveSeconds": 20, "WaitTimeSeconds": 20}
        for ran in [data.execute_statement(**kept, Sql="SELECT 1"), data.batch_execute_statement(**kept, Sqls=["SELECT 1"])]:
            assert ran["Status"] == "FINISHED" and ran["RedshiftPid"] > 0 and ran["HasResultSet"]
            described = data.describe_statement(Id=ran["Id"])
            assert {name: described[name] for name in CLUSTER} == CLUSTER and described["SessionId"] == ran["SessionId"]
    assert len(data.list_statements(**CLUSTER, StatementName=other)["Statements"]) == 4
    pages = data.get_paginator("list_sessions").paginate(ClusterIdentifier="c-1", PaginationConfig={"PageSize": 1})
    assert [len(page["Sessions"]) for page in pages][:4] == [1, 1, 1, 1]


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
    # More than the megabyte of a page.
    wide = "SELECT REPEAT('x', 1000) FROM generate_series(1, 1500)"
    answer = data.execute_statement(**TARGET, Sql=wide, ResultFormat="CSV", WaitTimeSeconds=20)
    assert len(list(data.get_paginator("get_statement_result_v2").paginate(Id=answer["Id"]))) == 2
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
    for sql in [
        "CREATE TABLE IF NOT EXISTS model_listed (a INT DEFAULT 7, b VARCHAR(9) NOT NULL, c DECIMAL(9, 2))",
        "CREATE OR REPLACE VIEW model_view AS SELECT a FROM model_listed",
        "CREATE DATABASE model_other",
    ]:
        data.execute_statement(**TARGET, Sql=sql, WaitTimeSeconds=20)
    for operation, list_of, more in [
        ("list_databases", "Databases", {}),
        ("list_schemas", "Schemas", {}),
        ("list_tables", "Tables", {"SchemaPattern": "public", "TablePattern": "model%", "ConnectedDatabase": TARGET["Database"]}),
        ("describe_table", "ColumnList", {"Schema": "public", "Table": "model_listed"}),
        ("describe_table", "ColumnList", {"Schema": "public"}),
    ]:
        where = {**TARGET, **more}
        whole = getattr(data, operation)(**where)[list_of]
        assert len(whole) > 1
        pages = data.get_paginator(operation).paginate(**where, PaginationConfig={"PageSize": 1})
        assert [one for page in pages for one in page[list_of]] == whole


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
        known = request.get("Id") != UNKNOWN
        expected = "ValidationException" if known else "ResourceNotFoundException"
        expected = "DatabaseConnectionException" if request.get("Database") == "nowhere" else expected
        assert refused(call, **request)["Code"] == expected, request


def test_every_error_can_be_ordered(checked, order):
    """Each error that the model lists for an operation, as the service would send it."""
    for name, request in requests(checked.client, TARGET, UNKNOWN):
        for error in checked.client.meta.service_model.operation_model(name).error_shapes:
            order({"Kind": {"Refuse": error.name}, "Operation": name})
            with pytest.raises(checked.client.exceptions.from_code(error.name)):
                checked.client._make_api_call(name, request)


def test_every_operation_is_there(checked):
    for name, request in requests(checked.client, TARGET, UNKNOWN):
        try:
            checked.client._make_api_call(name, request)
        except ClientError as error:
            assert error.response["Error"]["Code"] == "ResourceNotFoundException"


def test_nothing_of_the_model_was_left_out(request):
    """All members of all answers and all errors were there in the tests above, so that none of them went unchecked."""
    if request.config.option.keyword or "::" in "".join(request.config.args):
        pytest.skip("the other tests have not run")
    model = client().meta.service_model
    operations = [model.operation_model(name) for name in model.operation_names]
    known = {f"{one.name}.{path}" for one in operations for path in members(one.output_shape)}
    assert sorted(known - SEEN.members) == sorted(NEVER)
    assert {(one.name, error.name) for one in operations for error in one.error_shapes} == SEEN.errors
