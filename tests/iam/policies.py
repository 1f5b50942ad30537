"""What the roles of the deployed stack allow: answers questions about them, read from standard input.

In: {"questions": [{"role": name, "actions": [...], "resource": arn}]}.
Out: {"answers": [{"action": ..., "decision": "allowed" | ...}, ...] for each question, and for each role
"actions": every action that its policies name, "conditions": those of their statements, and "trust": who may
assume it}.

A statement under a condition on who asks is simulated without it: the simulator knows no caller.
"""
import json
import sys

import boto3

iam = boto3.client("iam")


def policies(role):
    for name in iam.list_role_policies(RoleName=role)["PolicyNames"]:
        # What the local stack adds: an action that AWS does not have.
        if not name.startswith("ministack-"):
            yield iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
    for attached in iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]:
        arn = attached["PolicyArn"]
        version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
        yield iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"]


def listed(value):
    return value if isinstance(value, list) else [value]


questions = json.load(sys.stdin)["questions"]
roles, answers = {}, []
for role in sorted({question["role"] for question in questions}):
    statements = [s for document in policies(role) for s in listed(document["Statement"])]
    roles[role] = {
        "actions": sorted({action for s in statements for action in listed(s["Action"])}),
        "trust": iam.get_role(RoleName=role)["Role"]["AssumeRolePolicyDocument"]["Statement"],
        "conditions": [s["Condition"] for s in statements if "Condition" in s],
        "document": json.dumps({
            "Version": "2012-10-17",
            "Statement": [{k: v for k, v in s.items() if k != "Condition"} for s in statements],
        }),
    }
for question in questions:
    results = iam.simulate_custom_policy(
        PolicyInputList=[roles[question["role"]]["document"]],
        ActionNames=question["actions"],
        ResourceArns=[question["resource"]],
    )["EvaluationResults"]
    answers.append([{"action": r["EvalActionName"], "decision": r["EvalDecision"]} for r in results])
json.dump({"answers": answers, "roles": roles}, sys.stdout)
