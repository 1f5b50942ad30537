"""Reads a file of parameters: a line `Name=value` each, and lines that begin with `#`.

Run as a program, it prints them for `aws cloudformation deploy --parameter-overrides`, with a NUL after each. The CLI's own
way to read a file takes JSON without comments, and nothing beside the file.
"""
import re
import sys
from pathlib import Path


# What a name from before has become.
INSTEAD = {
    "LoadProcedure": "; Procedures lists it and the audits, separated by commas",
    "AuditProcedure": "; Procedures lists the load and it, separated by commas",
    "AuditTable": "; it is AuditTables",
    "FullAuditProcedure": "; it is FullAuditProcedures",
}


def read(path):
    lines = [line for line in Path(path).read_text().splitlines() if line.strip() and not line.lstrip().startswith("#")]
    # What the template does not have, the CLI would leave out without a word.
    template = (Path(__file__).parent.parent / "template.yaml").read_text()
    known = re.findall(r"^  (\w+):$", template, re.MULTILINE)
    for line in lines:
        name, sign, _ = line.partition("=")
        if not sign:
            sys.exit(f"{path}: {line!r} has to be Name=value")
        if name not in known:
            sys.exit(f"{path}: {name} is no parameter of the template{INSTEAD.get(name, '')}")
    return dict(line.split("=", 1) for line in lines)


if __name__ == "__main__":
    sys.stdout.write("".join(f"{name}={value}\0" for name, value in read(sys.argv[1]).items()))
