"""proc-runner as people write it."""
import os

import boto3

redshift = boto3.client("redshift-data")


def handler(event, context):
    statement = redshift.execute_statement(
        WorkgroupName=os.environ["WORKGROUP_NAME"],
        Database=os.environ["DATABASE"],
        Sql=f"call {event['Procedure']}();",
    )
    return {"Id": statement["Id"]}
