"""The audit function as people write it: poll, fetch, one publish after the other. Prints its figures."""
import json
import os
import resource
import time

import boto3

start = time.monotonic()
redshift = boto3.client("redshift-data", endpoint_url=os.environ["SINK"])
sns = boto3.client("sns", endpoint_url=os.environ["SINK"])
topic = os.environ["TOPIC_ARN"]

statement = redshift.execute_statement(
    WorkgroupName="w-1", Database="d", Sql="SELECT DISTINCT run_id FROM dev.orders_audit WHERE status = 'NEW'"
)["Id"]
while redshift.describe_statement(Id=statement)["Status"] != "FINISHED":
    time.sleep(1)
calls = 0
token = {}
while True:
    page = redshift.get_statement_result(Id=statement, **token)
    for row in page["Records"]:
        run_id = row[0]["longValue"]
        sns.publish(
            TopicArn=topic,
            Subject="S3 Staging vs Redshift mismatch",
            Message=f"Mismatch between S3 staging and Redshift for the run id {run_id}",
            MessageAttributes={"run_id": {"DataType": "String", "StringValue": str(run_id)}},
        )
        calls += 1
    if "NextToken" not in page:
        break
    token = {"NextToken": page["NextToken"]}
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps({"calls": calls, "seconds": time.monotonic() - start, "peak_kib": peak}))
