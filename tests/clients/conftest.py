"""What the tests of clients share: where the local Data API answers is in the environment, as for every AWS SDK."""

import json
import os
import time
import urllib.request

import boto3
import pytest
from botocore.config import Config

TARGET = {"WorkgroupName": "w-1", "Database": "ecommerce_db"}
UNKNOWN = "5b2d1a56-8d5c-4a8c-9d4e-0f6a4a1d2c3b"
once = Config(retries={"total_max_attempts": 1}, read_timeout=60)


@pytest.fixture
def data():
    return boto3.client("redshift-data", config=once)


@pytest.fixture
def run(data):
    """Runs SQL to its end; how it is described."""

    def run(sql, **more):
        answer = data.execute_statement(**TARGET, Sql=sql, WaitTimeSeconds=30, **more)
        return data.describe_statement(Id=answer["Id"])

    return run


@pytest.fixture
def other():
    """A name that nothing else has."""
    return f"t{os.getpid()}_{time.monotonic_ns()}"


@pytest.fixture
def order():
    """Orders faults of the local Data API, in place of those that are left."""
    url = os.environ["AWS_ENDPOINT_URL_REDSHIFT_DATA"] + "/faults"

    def order(*faults):
        request = urllib.request.Request(url, json.dumps(faults).encode(), method="PUT")
        urllib.request.urlopen(request).close()

    yield order
    order()
