"""What the tests of clients share: where the local Data API answers is in the environment, as for every AWS SDK."""

import os
import time

import boto3
import pytest
from botocore.config import Config

TARGET = {"WorkgroupName": "w-1", "Database": "ecommerce_db"}
_once = Config(retries={"total_max_attempts": 1}, read_timeout=60)


@pytest.fixture
def data():
    return boto3.client("redshift-data", config=_once)


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
