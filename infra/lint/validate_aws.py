"""Has AWS itself check what `make deploy` would deploy, and changes nothing. Run by `make validate-aws`.

First the state machine's definition (ValidateStateMachineDefinition), then the packaged template with a file of
parameters, as a change set: it is created, shown and deleted, never executed. It needs the permissions
sts:GetCallerIdentity, states:ValidateStateMachineDefinition, s3:PutObject, cloudformation:DescribeStacks, CreateChangeSet,
DescribeChangeSet, DeleteChangeSet and, where the stack does not exist yet, DeleteStack: of a change set that would
create a stack CloudFormation keeps an empty one, in REVIEW_IN_PROGRESS.

Exit status: 0 AWS takes it, 1 AWS refuses it, 2 it could not be checked (no credentials, no permission, no answer).
"""
import argparse
import hashlib
import re
import sys
import time
from pathlib import Path

import boto3
from botocore.exceptions import BotoCoreError, ClientError, WaiterError

import parameters

DEFINITION = Path("infra/statemachines/loader.asl.json")
# How a change set says that the stack is as the template has it.
UNCHANGED = ("didn't contain changes", "No updates are to be performed")


class Refused(Exception):
    """AWS does not take it."""


class NotChecked(Exception):
    """Nothing is known."""


def plausible(name, partition, region, account):
    """What a substitution of the definition may stand for; only its kind counts."""
    if name == "Partition":
        return partition
    if name.endswith("TopicArn"):
        return f"arn:{partition}:sns:{region}:{account}:topic"
    if name.endswith("Arn"):
        return f"arn:{partition}:lambda:{region}:{account}:function:{name.removesuffix('Arn')}"
    if name.endswith("Url"):
        return "https://example.com/"
    return "3600" if name.endswith("Seconds") else name


def check_definition(session, identity):
    partition, account = identity["Arn"].split(":")[1], identity["Account"]
    region = session.region_name
    definition = re.sub(
        r"\$\{(\w+)}", lambda found: plausible(found[1], partition, region, account), DEFINITION.read_text())
    answer = session.client("stepfunctions").validate_state_machine_definition(
        definition=definition, type="STANDARD", severity="WARNING")
    for found in answer["diagnostics"]:
        print(f"  {found['severity']} {found['code']} at {found.get('location', '?')}: {found['message']}")
    if answer["result"] != "OK":
        raise Refused(f"Step Functions refuses {DEFINITION}")
    print(f"Step Functions takes {DEFINITION}")


def existing(cloudformation, stack):
    """The stack's description; nothing where it does not exist. One in REVIEW_IN_PROGRESS was never created."""
    try:
        found = cloudformation.describe_stacks(StackName=stack)["Stacks"][0]
    except ClientError as error:
        if "does not exist" in str(error):
            return None
        raise
    if found["StackStatus"] == "REVIEW_IN_PROGRESS":
        raise NotChecked(f"{stack} is in REVIEW_IN_PROGRESS: somebody has a change set for it, and has not executed it")
    return found


def overrides(path, architecture, template, stack):
    """As `aws cloudformation deploy` has them: what the file does not name keeps its deployed value."""
    given = {"Architecture": architecture} | parameters.read(path)
    kept = {p["ParameterKey"] for p in stack["Parameters"]} if stack else set()
    declared = {p["ParameterKey"] for p in template["Parameters"]}
    return [{"ParameterKey": key, "ParameterValue": value} for key, value in given.items()] + [
        {"ParameterKey": key, "UsePreviousValue": True} for key in sorted((kept & declared) - given.keys())
    ]


def check_template(session, arguments):
    cloudformation = session.client("cloudformation")
    s3 = session.client("s3")
    body = arguments.template.read_bytes()
    stack = existing(cloudformation, arguments.stack)
    name = f"validate-{time.time_ns()}"
    try:
        # In a request there is room for 51,200 bytes. [CloudFormation quotas]
        key = f"{hashlib.sha256(body).hexdigest()}.template"
        s3.put_object(Bucket=arguments.bucket, Key=key, Body=body)
        url = f"{s3.meta.endpoint_url}/{arguments.bucket}/{key}"
        summary = cloudformation.get_template_summary(TemplateURL=url)
        created = cloudformation.create_change_set(
            StackName=arguments.stack, ChangeSetName=name, ChangeSetType="UPDATE" if stack else "CREATE",
            Description="Created by make validate-aws, to be deleted", TemplateURL=url,
            Parameters=overrides(arguments.parameters, arguments.architecture, summary, stack),
            Capabilities=["CAPABILITY_IAM"], Tags=[{"Key": "Application", "Value": "redshift-loader"}])
    except ClientError as error:
        if error.response["Error"]["Code"] == "ValidationError":
            raise Refused(f"CloudFormation refuses the template or its parameters: {error}") from error
        raise
    try:
        show(cloudformation, created["Id"])
    finally:
        remove(cloudformation, created, stack is None)
    print(f"CloudFormation takes the template for {arguments.stack}; the change set is deleted, nothing was changed")


def show(cloudformation, change_set):
    try:
        cloudformation.get_waiter("change_set_create_complete").wait(
            ChangeSetName=change_set, WaiterConfig={"Delay": 2, "MaxAttempts": 150})
    except WaiterError as error:
        described = cloudformation.describe_change_set(ChangeSetName=change_set)
        reason = described.get("StatusReason", "")
        if any(text in reason for text in UNCHANGED):
            print("  no changes")
            return
        if described["Status"] == "FAILED":
            raise Refused(f"CloudFormation refuses the change set: {reason}") from error
        raise NotChecked(f"the change set is still {described['Status']} after 5 minutes") from error
    pages = cloudformation.get_paginator("describe_change_set").paginate(ChangeSetName=change_set)
    for change in (change["ResourceChange"] for page in pages for change in page["Changes"]):
        replaced = " (replaced)" if change.get("Replacement") == "True" else ""
        print(f"  {change['Action']} {change['ResourceType']} {change['LogicalResourceId']}{replaced}")


def remove(cloudformation, created, stack_is_new):
    cloudformation.delete_change_set(ChangeSetName=created["Id"])
    if not stack_is_new:
        return
    # By its id, and only while it is empty: somebody may have created the stack meanwhile.
    status = cloudformation.describe_stacks(StackName=created["StackId"])["Stacks"][0]["StackStatus"]
    if status == "REVIEW_IN_PROGRESS":
        cloudformation.delete_stack(StackName=created["StackId"])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stack", required=True)
    parser.add_argument("--bucket", help="for the packaged template")
    parser.add_argument("--template", type=Path, help="the packaged template; without it only credentials are checked")
    parser.add_argument("--parameters", type=Path)
    parser.add_argument("--architecture", default="x86_64")
    arguments = parser.parse_args()
    try:
        session = boto3.Session()
        if not session.region_name:
            raise NotChecked("no region: set AWS_DEFAULT_REGION")
        identity = session.client("sts").get_caller_identity()
        if arguments.template:
            print(f"as {identity['Arn']} in {session.region_name}")
            check_definition(session, identity)
            check_template(session, arguments)
    except Refused as refused:
        print(refused, file=sys.stderr)
        return 1
    except NotChecked as reason:
        print(f"not checked: {reason}", file=sys.stderr)
        return 2
    except (BotoCoreError, ClientError) as error:
        print(f"not checked: {error}\nIt needs AWS credentials and a region, as make deploy does.", file=sys.stderr)
        return 2
    return 0


sys.exit(main())
