"""moto and the local Data API, call by call: where they answer the same, and each member where they do not, with the reason.

A new version of moto that answers otherwise fails here, so that the table in the README stays true."""

import json
import os
import re
import socket
import subprocess
import time

import boto3
import pytest
from botocore.exceptions import ClientError
from conftest import TARGET, UNKNOWN, once
from model import Checked, requests

CLUSTER = {"ClusterIdentifier": "c-1", "Database": "ecommerce_db", "DbUser": "u"}
ABSENT = "absent"


class Client:
    """A client that returns what travelled: HTTP status and body, without what differs from run to run."""

    def __init__(self, **options):
        self.boto = boto3.client("redshift-data", config=once, **options)
        self.boto.meta.events.register("before-parse.redshift-data", self._take)

    def _take(self, response_dict, **_):
        self.status, self.text = response_dict["status_code"], response_dict["body"].decode()

    def call(self, operation, **request):
        try:
            self.boto._make_api_call(operation, request)
        except ClientError:
            if not self.text.startswith("{"):
                return {"status": self.status}
        return {"status": self.status, **{path: steady(path, value) for path, value in flat(json.loads(self.text))}}

    def start(self, sql="SELECT pg_sleep(20)", **request):
        return self.boto.execute_statement(**{**TARGET, **request}, Sql=sql)["Id"]

    def until(self, statement, *statuses):
        for _ in range(1000):
            if self.boto.describe_statement(Id=statement)["Status"] in statuses:
                return statement
            time.sleep(0.02)
        raise AssertionError(f"it is none of {statuses}")

    def running(self):
        return self.until(self.start(), "STARTED")

    def cancelled(self):
        statement = self.running()
        self.boto.cancel_statement(Id=statement)
        return self.until(statement, "ABORTED")

    def selected(self):
        """A statement whose end has been waited for; moto's never comes."""
        parameters = [{"name": "a", "value": "1"}]
        statement = self.boto.execute_statement(**CLUSTER, Sql="SELECT :a::int AS one", Parameters=parameters)["Id"]
        for _ in range(50):
            if self.boto.describe_statement(Id=statement)["Status"] == "FINISHED":
                break
            time.sleep(0.02)
        return statement


def flat(value, path=""):
    """The members of an answer by their paths."""
    if isinstance(value, dict):
        for name, member in value.items():
            yield from flat(member, f"{path}.{name}" if path else name)
    elif isinstance(value, list) and value:
        for n, one in enumerate(value):
            yield from flat(one, f"{path}[{n}]")
    else:
        yield path, value


def steady(path, value):
    if path in ("CreatedAt", "UpdatedAt"):
        return "seconds" if isinstance(value, (int, float)) else "text"
    if path in ("Duration", "RedshiftQueryId", "RedshiftPid") and value > 0:
        return "a number"
    if isinstance(value, str):
        return re.sub(r"Query \(\d+\)", "Query (n)", re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "<id>", value))
    return value


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
        yield Client(endpoint_url=f"http://127.0.0.1:{port}")
        server.terminate()


@pytest.fixture
def ours():
    return Client()


CALLS = {
    "DescribeStatement of an Id that is none": lambda c: c.call("DescribeStatement", Id="none"),
    "DescribeStatement of an unknown Id": lambda c: c.call("DescribeStatement", Id=UNKNOWN),
    "DescribeStatement of an unknown part": lambda c: c.call("DescribeStatement", Id=c.running() + ":1"),
    "DescribeStatement of what runs": lambda c: c.call("DescribeStatement", Id=c.running()),
    "DescribeStatement of what was cancelled": lambda c: c.call("DescribeStatement", Id=c.cancelled()),
    "DescribeStatement of what was selected": lambda c: c.call("DescribeStatement", Id=c.selected()),
    "GetStatementResult of an Id that is none": lambda c: c.call("GetStatementResult", Id="none"),
    "GetStatementResult of an unknown Id": lambda c: c.call("GetStatementResult", Id=UNKNOWN),
    "GetStatementResult of what was selected": lambda c: c.call("GetStatementResult", Id=c.selected()),
    "CancelStatement of an Id that is none": lambda c: c.call("CancelStatement", Id="none"),
    "CancelStatement of an unknown Id": lambda c: c.call("CancelStatement", Id=UNKNOWN),
    "CancelStatement of what runs": lambda c: c.call("CancelStatement", Id=c.running()),
    "CancelStatement of what was cancelled": lambda c: c.call("CancelStatement", Id=c.cancelled()),
    "ExecuteStatement on a workgroup": lambda c: c.call("ExecuteStatement", **TARGET, Sql="SELECT 1"),
    "ExecuteStatement on a cluster": lambda c: c.call("ExecuteStatement", **CLUSTER, Sql="SELECT 1"),
}

ID = "errors name what they are about [API model: ResourceId is required]"
MESSAGE = "spelled Message [API model]"
NO_NULL = "what there is not is left out [raw answers, aws-sdk#356]"
NO_SQL = "moto runs no SQL: a statement stays STARTED, and every result is the same three rows"
RUNNING = "has neither yet [amazon-redshift-utils#515]"
SECONDS = "times are numbers [API model: JSON 1.1; raw answers, aws-sdk#356]"
SENT = "the service sends it [API model; recorded answers]"
WORKGROUP = "moto does not know workgroups [API model]"

NOT_FOUND = {
    "message": ("Query does not exist.", ABSENT, MESSAGE),
    "Message": (ABSENT, "Query does not exist.", MESSAGE),
    "ResourceId": (ABSENT, "<id>", ID),
}
WRONG_ID = r"id must satisfy regex pattern: ^[a-z0-9]{8}(-[a-z0-9]{4}){3}-[a-z0-9]{12}(:\d+)?$"
NO_ID = {"message": (WRONG_ID, ABSENT, MESSAGE), "Message": (ABSENT, WRONG_ID, MESSAGE)}
ENDED = "Could not cancel a query that is already in ABORTED state with ID: <id>"
ON_WORKGROUP = {
    "ClusterIdentifier": (None, ABSENT, NO_NULL),
    "CreatedAt": ("text", "seconds", SECONDS),
    "DbUser": (None, ABSENT, NO_NULL),
    "SecretArn": (None, ABSENT, NO_NULL),
    "WorkgroupName": (ABSENT, "w-1", WORKGROUP),
}
DESCRIBED = {
    "CreatedAt": ("text", "seconds", SECONDS),
    "ResultFormat": (ABSENT, "json", SENT),
    "SecretArn": (None, ABSENT, NO_NULL),
    "SubStatements": ([], ABSENT, NO_NULL),
    "UpdatedAt": ("text", "seconds", SECONDS),
}
ROWS = [(10, "Alpha st", "Vancouver"), (50, "Beta st", "Toronto"), (100, "Gamma av", "Seattle")]

# Each member that differs: moto's, ours, and why ours is the service's. What is not listed here is the same.
DIFFERENT = {
    "DescribeStatement of an Id that is none": NO_ID,
    "DescribeStatement of an unknown Id": NOT_FOUND,
    "DescribeStatement of an unknown part": {**NOT_FOUND, "ResourceId": (ABSENT, "<id>:1", ID)},
    "DescribeStatement of what runs": {
        **ON_WORKGROUP,
        **DESCRIBED,
        "Duration": (0, -1, RUNNING),
        "QueryParameters": (None, ABSENT, NO_NULL),
        "RedshiftQueryId": ("a number", 0, RUNNING),
    },
    "DescribeStatement of what was cancelled": {
        **ON_WORKGROUP,
        **DESCRIBED,
        "Duration": (0, "a number", NO_SQL),
        "Error": (ABSENT, "ERROR: Query (n) cancelled on user's request", "Redshift says so [metabase#36770]"),
        "QueryParameters": (None, ABSENT, NO_NULL),
    },
    "DescribeStatement of what was selected": {
        **DESCRIBED,
        "Duration": (0, "a number", NO_SQL),
        "HasResultSet": (False, True, NO_SQL),
        "ResultRows": (-1, 1, NO_SQL),
        "ResultSize": (-1, 1, NO_SQL),
        "Status": ("STARTED", "FINISHED", NO_SQL),
    },
    "GetStatementResult of an Id that is none": NO_ID,
    "GetStatementResult of an unknown Id": NOT_FOUND,
    "GetStatementResult of what was selected": {
        "NextToken": (None, ABSENT, NO_NULL),
        "TotalNumberRows": (3, ABSENT, "spelled TotalNumRows [API model]"),
        "TotalNumRows": (ABSENT, 1, "spelled TotalNumRows [API model]"),
        **{
            f"Records[{row}][{column}].{'stringValue' if column else 'longValue'}": (ROWS[row][column], ABSENT, NO_SQL)
            for row in range(3)
            for column in range(3)
        },
        "Records[0][0].longValue": (10, 1, NO_SQL),
        **{
            f"ColumnMetadata[{n}].{name}": (value, ABSENT, NO_SQL)
            for n, column in [(1, "Street"), (2, "City")]
            for name, value in [("isCaseSensitive", True), ("isSigned", False), ("name", column), ("nullable", False)]
        },
        **{f"ColumnMetadata[{n}].columnDefault": (None, ABSENT, NO_NULL) for n in range(3)},
        "ColumnMetadata[0].name": ("Number", "one", NO_SQL),
        "ColumnMetadata[0].nullable": (False, 1, "a number [API model]"),
        **{
            f"ColumnMetadata[0].{name}": (ABSENT, value, SENT)
            for name, value in [
                ("isCurrency", False),
                ("label", "one"),
                ("length", 0),
                ("precision", 10),
                ("scale", 0),
                ("schemaName", ""),
                ("tableName", ""),
                ("typeName", "int4"),
            ]
        },
    },
    "CancelStatement of an Id that is none": NO_ID,
    "CancelStatement of an unknown Id": NOT_FOUND,
    "CancelStatement of what was cancelled": {"message": (ENDED, ABSENT, MESSAGE), "Message": (ABSENT, ENDED, MESSAGE)},
    "ExecuteStatement on a workgroup": ON_WORKGROUP,
    "ExecuteStatement on a cluster": {
        "CreatedAt": ("text", "seconds", SECONDS),
        "SecretArn": (None, ABSENT, NO_NULL),
    },
}


@pytest.mark.parametrize("name", CALLS)
def test_a_call(moto, ours, name):
    theirs, own = CALLS[name](moto), CALLS[name](ours)
    found = {
        path: (theirs.get(path, ABSENT), own.get(path, ABSENT))
        for path in theirs.keys() | own.keys()
        # False is not 0, nor True 1.
        if repr(theirs.get(path, ABSENT)) != repr(own.get(path, ABSENT))
    }
    assert found == {path: both[:2] for path, both in DIFFERENT.get(name, {}).items()}


def test_a_result_of_what_runs_is_there_with_moto_alone(moto, ours):
    assert moto.call("GetStatementResult", Id=moto.running())["TotalNumberRows"] == 3, NO_SQL
    refused = ours.call("GetStatementResult", Id=ours.running())
    assert refused["__type"] == "ResourceNotFoundException", "recorded: airflow#40427"


# What the service refuses before it accepts a statement, and moto takes.
REFUSED = [
    ({"Database": "d", "Sql": "SELECT 1"}, "Either ClusterIdentifier or WorkgroupName must be provided."),
    ({"WorkgroupName": "w-1", "Sql": "SELECT 1"}, "Database name must not be empty."),
    ({**TARGET, **CLUSTER, "Sql": "SELECT 1"}, "ClusterIdentifier and WorkgroupName cannot be provided together."),
    ({**TARGET, "WorkgroupName": "nowhere", "Sql": "SELECT 1"}, "Redshift endpoint doesn't exist in this region."),
    ({**TARGET, "Sql": "SELECT 1; SELECT 2"}, "Multiple sql statements are not allowed."),
    ({**TARGET, "Sql": "SELECT 1", "WaitTimeSeconds": 31}, "WaitTimeSeconds must be between 1 and 30."),
    ({"Sql": "SELECT 1", "SessionId": UNKNOWN}, f"Session with Id: {UNKNOWN} is invalid"),
]


@pytest.mark.parametrize(("request_", "text"), REFUSED, ids=[text for _, text in REFUSED])
def test_moto_takes_what_the_service_refuses(moto, ours, request_, text):
    assert moto.call("ExecuteStatement", **request_)["status"] == 200
    refused = ours.call("ExecuteStatement", **request_)
    assert (refused["__type"], refused["Message"]) == ("ValidationException", text.replace(UNKNOWN, "<id>"))


def test_a_client_token_finds_its_statement_with_us_alone(moto, ours):
    for client, statements in [(moto, 2), (ours, 1)]:
        assert len({client.start("SELECT 1", ClientToken="moto/1") for _ in range(2)}) == statements


def test_moto_lacks_operations(moto):
    lacking = {name for name, request in requests(moto.boto, TARGET, UNKNOWN) if moto.call(name, **request) == {"status": 500}}
    assert lacking == {
        "BatchExecuteStatement",
        "DescribeTable",
        "GetStatementResultV2",
        "ListDatabases",
        "ListSchemas",
        "ListSessions",
        "ListStatements",
        "ListTables",
    }


def test_what_moto_answers_is_not_of_the_model(moto):
    checked = Checked(boto3.client("redshift-data", endpoint_url=moto.boto.meta.endpoint_url, config=once))
    checked.client.execute_statement(**TARGET, Sql="SELECT 1")
    assert sorted(checked.faults) == [
        "ExecuteStatement: $.ClusterIdentifier: NoneType is no string",
        "ExecuteStatement: $.CreatedAt: str is no timestamp",
        "ExecuteStatement: $.DbUser: NoneType is no string",
        "ExecuteStatement: $.SecretArn: NoneType is no string",
        "ExecuteStatement: the Content-Type is text/html; charset=utf-8",
    ]
