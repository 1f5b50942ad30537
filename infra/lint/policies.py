"""Lints every policy of the template with cfn-lint, for each file of parameters: those of roles, and those of
what is shared (trust, topic, queue, key). Run by `make lint`.

cfn-lint knows which actions exist and which resources they take. It looks away where a template has a SAM transform or a
resource is no plain text, so the template's conditions and references are filled in first, and cfn-lint gets the policies in
a template of their own. It does not judge principals: that nobody is let in who is not named is checked here.
"""
import json
import re
import subprocess
import sys
from pathlib import Path

from cfnlint.decode import decode

import parameters

OUT = Path("target/lint/policies.json")
# Actions that exist, resources that they take, the form of a policy, and the form of a resource.
RULES = {"W3037", "I3510", "E3510", "E3514"}
HERE = "eu-west-1:111122223333"
# The ARN of each kind of resource that policies name.
ARNS = {
    "AWS::Serverless::Function": f"arn:aws:lambda:{HERE}:function:NAME",
    "AWS::Serverless::StateMachine": f"arn:aws:states:{HERE}:stateMachine:NAME",
    "AWS::SNS::Topic": f"arn:aws:sns:{HERE}:NAME",
    "AWS::SQS::Queue": f"arn:aws:sqs:{HERE}:NAME",
    "AWS::KMS::Key": f"arn:aws:kms:{HERE}:key/11111111-2222-3333-4444-555555555555",
    "AWS::Events::Rule": f"arn:aws:events:{HERE}:rule/NAME",
    "AWS::IAM::Role": "arn:aws:iam::111122223333:role/NAME",
    "AWS::Logs::LogGroup": f"arn:aws:logs:{HERE}:log-group:NAME:*",
}
PSEUDO = {
    "AWS::Partition": "aws", "AWS::Region": "eu-west-1", "AWS::AccountId": "111122223333",
    "AWS::StackName": "stack", "AWS::NoValue": None, "AWS::URLSuffix": "amazonaws.com",
    "AWS::StackId": f"arn:aws:cloudformation:{HERE}:stack/stack/11111111-2222-3333-4444-555555555555",
}
# What no file of parameters has: keys and topics of one's own, and none.
KEY = f"arn:aws:kms:{HERE}:key/99999999-2222-3333-4444-555555555555"
OTHERS = {
    "cluster-secret": [
        {"SecretKmsKeyArn": KEY, "TopicKmsKeyArn": KEY, "NotificationTopicArn": f"arn:aws:sns:{HERE}:runs.fifo"},
        {"TopicKmsKeyArn": "none", "AlarmTopicArn": f"arn:aws:sns:{HERE}:alarms", "WithDashboard": "false"},
    ],
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

    def text(self, text, own):
        return re.sub(r"\$\{([^}]+)}", lambda found: own.get(found[1]) or self.name(found[1]), text)

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
            case {"Fn::Sub": [text, own]}: return self.text(text, {k: self.resolve(v) for k, v in own.items()})
            case {"Fn::Sub": text}: return self.text(text, {})
            case {"Fn::Select": [index, items]}: return self.resolve(items)[index]
            case {"Fn::Split": [by, text]}: return self.resolve(text).split(by)
            case {"Fn::If": [name, yes, no]}: return self.resolve(yes if self.holds(self.conditions[name]) else no)
            case dict(): return {k: self.resolve(v) for k, v in value.items()}
            case list(): return [item for item in map(self.resolve, value) if item is not None]
        return value


def policies(resources):
    """Name, document, and what a document is attached to that need not, or cannot, name it itself."""
    for name, resource in resources.items():
        properties = resource.get("Properties", {})
        match resource["Type"]:
            case "AWS::IAM::Role":
                yield f"{name}/trust", properties["AssumeRolePolicyDocument"], ARNS["AWS::IAM::Role"]
                for policy in properties.get("Policies", []):
                    yield f"{name}/{policy['PolicyName']}", policy["PolicyDocument"], None
            case "AWS::KMS::Key":
                yield name, properties["KeyPolicy"], ARNS["AWS::KMS::Key"]
            case "AWS::IAM::ManagedPolicy" | "AWS::SNS::TopicPolicy" | "AWS::SQS::QueuePolicy":
                yield name, properties["PolicyDocument"], None


def about(document, resource):
    """The document with what it is attached to in place of the "*" or nothing that stands for that."""
    # The key's owner may do all with it; some of all is not about a key, which the linter takes for a mistake.
    statements = [s | {"Resource": resource} for s in document["Statement"] if s["Action"] != "kms:*"]
    return document | {"Statement": statements} if resource else document


def open_to_all(document):
    return any("*" in json.dumps(statement.get("Principal")) for statement in document["Statement"])


def findings(documents):
    """What cfn-lint reports of the documents, under the names that they have here."""
    names = {f"Policy{n}": name for n, name in enumerate(documents.values())}
    policies = {
        key: {"Type": "AWS::IAM::ManagedPolicy", "Properties": {"PolicyDocument": json.loads(document)}}
        for key, document in zip(names, documents)
    }
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps({"Resources": policies}, indent=1))
    linter = [Path(sys.executable).parent / "cfn-lint", "--include-checks", "I", "--format", "json", "--", OUT]
    done = subprocess.run(linter, stdout=subprocess.PIPE, check=False)
    # A bit each for errors, warnings and remarks; 1 is a failure of its own.
    if done.returncode not in (0, 2, 4, 6, 8, 10, 12, 14):
        sys.exit(f"cfn-lint failed with {done.returncode}")
    for found in json.loads(done.stdout):
        if found["Rule"]["Id"] in RULES or found["Rule"]["Id"].startswith("E0"):
            name = names[found["Location"]["Path"][1]]
            yield f"{name}: {found['Rule']['Id']}: {found['Message'].split(' is not one of ')[0]}"


template, problems = decode("infra/template.yaml")
assert not problems, problems
wrong, seen, documents = set(), 0, {}
cases = []
for path in sorted(Path("infra/parameters").glob("*.txt")):
    cases += [(path.name, parameters.read(path) | others) for others in [{}, *OTHERS.get(path.stem, [])]]
for path, values in cases:
    resolver = Resolver(template, values)
    for name, document, resource in policies(template["Resources"]):
        seen += 1
        document = about(resolver.resolve(document), resource)
        if open_to_all(document):
            wrong.add(f"{path}: {name}: anybody is let in")
        # Who is let in is no part of an identity's policy.
        plain = [{k: v for k, v in s.items() if k != "Principal"} for s in document["Statement"]]
        documents.setdefault(json.dumps(document | {"Statement": plain}), f"{path}: {name}")
# What must be found, or the linter has not looked.
bad = {"an action that does not exist": ("sns:Publishh", "*"), "a resource of another service": ("sns:Publish", f"arn:aws:sqs:{HERE}:x")}
for name, (action, resource) in bad.items():
    statement = {"Effect": "Allow", "Action": action, "Resource": resource}
    documents[json.dumps({"Version": "2012-10-17", "Statement": [statement]})] = name
found = set(findings(documents))
for name in bad:
    if not any(finding.startswith(f"{name}:") for finding in found):
        wrong.add(f"the linter does not find {name}")
wrong.update(finding for finding in found if not finding.startswith(tuple(bad)))
print(f"{seen} policies, {len(wrong)} findings", *sorted(wrong), sep="\n")
sys.exit(bool(wrong) or not seen)
