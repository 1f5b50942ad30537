"""orders-audit-fn as people write it: poll, fetch, one publish after the other."""
import os
import time

import boto3

redshift = boto3.client("redshift-data")
sns = boto3.client("sns")


def handler(event, context):
    statement = redshift.execute_statement(
        WorkgroupName=os.environ["WORKGROUP_NAME"],
        Database=os.environ["DATABASE"],
        Sql="SELECT DISTINCT run_id FROM dev.orders_audit WHERE status = 'NEW'",
    )["Id"]
    while redshift.describe_statement(Id=statement)["Status"] != "FINISHED":
        time.sleep(1)
    notified = 0
    token = {}
    while True:
        page = redshift.get_statement_result(Id=statement, **token)
        for row in page["Records"]:
            run_id = row[0]["longValue"]
            sns.publish(
                TopicArn=os.environ["TOPIC_ARN"],
                Subject="S3 Staging vs Redshift mismatch",
                Message=f"Mismatch between S3 staging and Redshift for the run id {run_id}",
                MessageAttributes={"run_id": {"DataType": "String", "StringValue": str(run_id)}},
            )
            notified += 1
        if "NextToken" not in page:
            return {"Notified": notified}
        token = {"NextToken": page["NextToken"]}
