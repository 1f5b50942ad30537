"""Reads a file of parameters, as `make deploy` does."""
import subprocess
import sys


def read(path):
    command = ["infra/build/parameters.sh", str(path), "infra/template.yaml"]
    said = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if said.returncode:
        sys.exit(said.returncode)
    return dict(line.split("=", 1) for line in said.stdout.splitlines())
