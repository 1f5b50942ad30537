"""Reads a file of parameters: a line `Name=value` each, and lines that begin with `#`.

Run as a program, it prints them for `aws cloudformation deploy --parameter-overrides`, with a NUL after each. The CLI's own
way to read a file takes JSON without comments, and nothing beside the file.
"""
import sys
from pathlib import Path


def read(path):
    lines = [line for line in Path(path).read_text().splitlines() if line.strip() and not line.lstrip().startswith("#")]
    for line in lines:
        if "=" not in line:
            sys.exit(f"{path}: {line!r} has to be Name=value")
    return dict(line.split("=", 1) for line in lines)


if __name__ == "__main__":
    sys.stdout.write("".join(f"{name}={value}\0" for name, value in read(sys.argv[1]).items()))
