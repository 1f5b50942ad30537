"""status-checker as people write it."""
import boto3

redshift = boto3.client("redshift-data")


def handler(event, context):
    return {"Id": event["Id"], "Status": redshift.describe_statement(Id=event["Id"])["Status"]}
