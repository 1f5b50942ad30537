"""Lints every IAM policy of the template with parliament, for each file of parameters.

parliament knows which actions exist and which resources they take; it reads plain policies, so the
template's conditions and references are filled in first. Run by `make lint`.
"""
import json
import re
import sys
from pathlib import Path

from cfnlint.decode import decode
from parliament import analyze_policy_string, enhance_finding

HERE = "eu-west-1:111122223333"
# The ARN of each kind of resource that policies name.
ARNS = {
    "AWS::Serverless::Function": f"arn:aws:lambda:{HERE}:function:NAME",
    "AWS::Serverless::StateMachine": f"arn:aws:states:{HERE}:stateMachine:NAME",
    "AWS::SNS::Topic": f"arn:aws:sns:{HERE}:NAME",
    "AWS::SQS::Queue": f"arn:aws:sqs:{HERE}:NAME",
    "AWS::KMS::Key": f"arn:aws:kms:{HERE}:key/11111111-2222-3333-4444-555555555555",
    "AWS::Events::Rule": f"arn:aws:events:{HERE}:rule/NAME",
    "AWS::Logs::LogGroup": f"arn:aws:logs:{HERE}:log-group:NAME:*",
}
PSEUDO = {
    "AWS::Partition": "aws", "AWS::Region": "eu-west-1", "AWS::AccountId": "111122223333",
    "AWS::StackName": "stack", "AWS::NoValue": None,
}


class Resolver:
    def __init__(self, template, values):
        self.resources, self.conditions = template["Resources"], template["Conditions"]
        self.values = {k: p.get("Default", "") for k, p in template["Parameters"].items()} | values

    def name(self, name):
        if name in PSEUDO:
            return PSEUDO[name]
        if name in self.values:
            return self.values[name]
        logical = name.removesuffix(".Arn")
        return ARNS[self.resources[logical]["Type"]].replace("NAME", logical)

    def holds(self, condition):
        (operation, operands), = condition.items()
        match operation:
            case "Condition": return self.holds(self.conditions[operands])
            case "Fn::Not": return not self.holds(operands[0])
            case "Fn::And": return all(map(self.holds, operands))
            case "Fn::Or": return any(map(self.holds, operands))
            case "Fn::Equals": return str(self.resolve(operands[0])) == str(self.resolve(operands[1]))
        raise ValueError(operation)

    def resolve(self, value):
        match value:
            case {"Ref": name}: return self.name(name)
            case {"Fn::GetAtt": [name, _]}: return self.name(name)
            case {"Fn::Sub": text}: return re.sub(r"\$\{([^}]+)}", lambda found: self.name(found[1]), text)
            case {"Fn::If": [name, yes, no]}: return self.resolve(yes if self.holds(self.conditions[name]) else no)
            case dict(): return {k: self.resolve(v) for k, v in value.items()}
            case list(): return [item for item in map(self.resolve, value) if item is not None]
        return value


def policies(resources):
    for name, resource in resources.items():
        properties = resource.get("Properties", {})
        for policy in properties.get("Policies", []) if resource["Type"] == "AWS::IAM::Role" else []:
            yield f"{name}/{policy['PolicyName']}", policy["PolicyDocument"]
        if resource["Type"] == "AWS::IAM::ManagedPolicy":
            yield name, properties["PolicyDocument"]


template, problems = decode("infra/template.yaml")
assert not problems, problems
wrong, seen = set(), 0
for path in sorted(Path("infra/parameters").glob("*.txt")):
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    resolver = Resolver(template, dict(line.split("=", 1) for line in lines))
    for name, document in policies(template["Resources"]):
        seen += 1
        for finding in analyze_policy_string(json.dumps(resolver.resolve(document))).findings:
            finding = enhance_finding(finding)
            if finding.severity != "MUTE":
                wrong.add(f"{path.name}: {name}: {finding.title}: {finding.detail}")
print(f"{seen} policies, {len(wrong)} findings", *sorted(wrong), sep="\n")
sys.exit(bool(wrong) or not seen)
