"""moto and the local Data API, call by call: where they answer the same, and each place where they do not, with the reason.

A new version of moto that answers otherwise fails here, so that the table in the README stays true."""

import os
import re
import socket
import subprocess
import time

import boto3
import pytest
from botocore.exceptions import ClientError
from conftest import TARGET, once
from model import Checked

UNKNOWN = "5b2d1a56-8d5c-4a8c-9d4e-0f6a4a1d2c3b"
NOT_IMPLEMENTED = "not implemented"


@pytest.fixture(scope="module")
def moto():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [os.environ["MOTO_SERVER"], "-H", "127.0.0.1", "-p", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        for _ in range(300):
            with socket.socket() as there:
                if there.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        yield boto3.client("redshift-data", endpoint_url=f"http://127.0.0.1:{port}", config=once)
        server.terminate()


def outcome(call, **request):
    """What a call answers: its members, or the error's code and text, without what differs from run to run."""
    try:
        return sorted(call(**request).keys() - {"ResponseMetadata"})
    except ClientError as error:
        said = error.response["Error"]
        if said["Code"] == "500":
            return NOT_IMPLEMENTED
        return said["Code"], re.sub(r"[0-9a-f-]{36}", "<id>", said["Message"])


def started(client):
    return client.execute_statement(**TARGET, Sql="SELECT pg_sleep(20)")["Id"]


def until(client, statement, status):
    for _ in range(1000):
        if client.describe_statement(Id=statement)["Status"] == status:
            return
        time.sleep(0.02)
    raise AssertionError(f"it is not {status}")


def cancelled(client):
    statement = started(client)
    until(client, statement, "STARTED")
    client.cancel_statement(Id=statement)
    until(client, statement, "ABORTED")
    return statement


def described(client):
    """How a statement is described whose end has been waited for."""
    statement = client.execute_statement(**TARGET, Sql="SELECT 1 AS one")["Id"]
    for _ in range(20):
        if (found := client.describe_statement(Id=statement))["Status"] == "FINISHED":
            break
        time.sleep(0.05)
    return {name: found[name] for name in ("Status", "HasResultSet", "ResultRows")}


def result(client):
    statement = client.execute_statement(**TARGET, Sql="SELECT 1 AS one")["Id"]
    time.sleep(1)
    return [column["name"] for column in client.get_statement_result(Id=statement)["ColumnMetadata"]]


def model_faults(client):
    """Whether all that was answered in a statement's life is of the model."""
    checked = Checked(client)
    statement = started(client)
    client.describe_statement(Id=statement)
    client.cancel_statement(Id=statement)
    return checked.faults != []


CALLS = {
    "DescribeStatement of an Id that is none": lambda c: outcome(c.describe_statement, Id="none"),
    "DescribeStatement of an unknown Id": lambda c: outcome(c.describe_statement, Id=UNKNOWN),
    "GetStatementResult of an Id that is none": lambda c: outcome(c.get_statement_result, Id="none"),
    "GetStatementResult of an unknown Id": lambda c: outcome(c.get_statement_result, Id=UNKNOWN),
    "CancelStatement of an unknown Id": lambda c: outcome(c.cancel_statement, Id=UNKNOWN),
    "CancelStatement of what runs": lambda c: outcome(c.cancel_statement, Id=started(c)),
    "CancelStatement of what has ended": lambda c: outcome(c.cancel_statement, Id=cancelled(c)),
    "GetStatementResult of what runs": lambda c: outcome(c.get_statement_result, Id=started(c)),
    "DescribeStatement of a SELECT in the end": described,
    "the columns of a SELECT": result,
    "ExecuteStatement": lambda c: outcome(c.execute_statement, **TARGET, Sql="SELECT 1"),
    "ExecuteStatement without a target": lambda c: outcome(c.execute_statement, Database="d", Sql="SELECT 1"),
    "ExecuteStatement of two statements": lambda c: outcome(c.execute_statement, **TARGET, Sql="SELECT 1; SELECT 2"),
    "BatchExecuteStatement": lambda c: outcome(c.batch_execute_statement, **TARGET, Sqls=["SELECT 1"]),
    "ListStatements": lambda c: outcome(c.list_statements, Status="ALL"),
    "ListTables": lambda c: outcome(c.list_tables, **TARGET),
    "answers that are not of the model": model_faults,
}

NO_SQL = "moto runs no SQL: a statement stays STARTED, and every result is the same three rows"
# What differs: moto's answer, ours, and why ours is the service's.
DIFFERENT = {
    "GetStatementResult of what runs": (
        ["ColumnMetadata", "Records"],
        ("ResourceNotFoundException", "Query does not have result. Please check query status with DescribeStatement."),
        NO_SQL,
    ),
    "DescribeStatement of a SELECT in the end": (
        {"Status": "STARTED", "HasResultSet": False, "ResultRows": -1},
        {"Status": "FINISHED", "HasResultSet": True, "ResultRows": 1},
        NO_SQL,
    ),
    "the columns of a SELECT": (["Number", "Street", "City"], ["one"], NO_SQL),
    "ExecuteStatement": (
        ["CreatedAt", "Database", "Id"],
        ["CreatedAt", "Database", "Id", "WorkgroupName"],
        "moto does not know workgroups",
    ),
    "ExecuteStatement without a target": (
        ["CreatedAt", "Database", "Id"],
        ("ValidationException", "Either ClusterIdentifier or WorkgroupName must be provided."),
        "moto does not check the target",
    ),
    "ExecuteStatement of two statements": (
        ["CreatedAt", "Database", "Id"],
        ("ValidationException", "Multiple sql statements are not allowed."),
        "moto does not read the SQL",
    ),
    "BatchExecuteStatement": (NOT_IMPLEMENTED, ["CreatedAt", "Database", "Id", "WorkgroupName"], "moto lacks it"),
    "ListStatements": (NOT_IMPLEMENTED, ["Statements"], "moto lacks it"),
    "ListTables": (NOT_IMPLEMENTED, ["Tables"], "moto lacks it"),
    "answers that are not of the model": (True, False, "moto's times are text, and it sends null for what is absent"),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_call(moto, data, name):
    theirs, ours = CALLS[name](moto), CALLS[name](data)
    if name in DIFFERENT:
        assert (theirs, ours) == DIFFERENT[name][:2], DIFFERENT[name][2]
    else:
        assert theirs == ours
