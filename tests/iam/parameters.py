"""Which values of its parameters the template refuses: creates a change set for each, and deletes it.

In, on standard input: {"template": path, "stack": name, "parameters": {...}, "tried": [[parameter, value], ...]}; of
"parameters" each is the base that one value is tried on top of.
Out: {"text": [the parameters that hold any text], "refused": [the refusal, or nothing, for each of "tried"]}.
"""
import json
import sys
from pathlib import Path

import boto3
import yaml
from botocore.exceptions import ClientError

cloudformation = boto3.client("cloudformation")
request = json.load(sys.stdin)
# As JSON, which the local stack reads much faster.
body = json.dumps(yaml.safe_load(Path(request["template"]).read_text()))


def refusal(parameter, value):
    values = request["parameters"] | {parameter: value}
    listed = [{"ParameterKey": key, "ParameterValue": value} for key, value in values.items()]
    try:
        created = cloudformation.create_change_set(
            StackName=request["stack"], ChangeSetName="try", ChangeSetType="CREATE", TemplateBody=body,
            Parameters=listed, Capabilities=["CAPABILITY_IAM"])
    except ClientError as error:
        return str(error)
    cloudformation.delete_change_set(ChangeSetName=created["Id"])
    cloudformation.delete_stack(StackName=created["StackId"])
    return None


summary = cloudformation.get_template_summary(TemplateBody=body)
text = [p["ParameterKey"] for p in summary["Parameters"]
        if p["ParameterType"] == "String" and not p.get("ParameterConstraints", {}).get("AllowedValues")]
json.dump({"text": text, "refused": [refusal(*tried) for tried in request["tried"]]}, sys.stdout)
