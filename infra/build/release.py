"""Makes the files of a release from built functions. Run by `make release`; the same input gives the same bytes.

    release.py check VERSION                        is there what a release of this version needs? Before minutes of building
    release.py pack VERSION FOLDER ARCH=BUILT...    all but the two below; BUILT is as cargo-lambda makes it: <function>/bootstrap
    release.py bill VERSION FOLDER                  what each function is made of
    release.py sum VERSION FOLDER                   SHA256SUMS of what is there
"""
import copy
import hashlib
import json
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

# What `aws cloudformation package` reads and writes templates with: intrinsics in their long form, no aliases, which AWS refuses.
from awscli.customizations.cloudformation.yamlhelper import yaml_parse

FUNCTIONS = {"ProcRunner": "proc-runner", "StatusChecker": "status-checker", "OrdersAuditFn": "orders-audit-fn"}
DEFINITION = Path("infra/statemachines/loader.asl.json")
# What goes into a warehouse, and what describes a stack.
WAREHOUSE = ["sql/**/*.sql", "sql/README.md", "audits/*.yaml", "parameters/*.txt"]
SEMVER = r"\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?"


def notes(version):
    """The section of the changelog; of a pre-release, that of what is to be released."""
    base = version.split("-")[0]
    cargo = tomllib.loads(Path("Cargo.toml").read_text())["workspace"]["package"]["version"]
    if not re.fullmatch(SEMVER, version):
        sys.exit(f"VERSION={version} has to be a version without a v, such as {cargo} or {cargo}-rc.1")
    if cargo not in (base, version):
        sys.exit(f"VERSION={version}, but Cargo.toml has {cargo}: change one of them")
    changelog = Path("CHANGELOG.md").read_text()
    for name in [version, "Unreleased"] if version != base else [version]:
        found = re.search(rf"^## \[{re.escape(name)}\].*\n([\s\S]*?)(?=^## |\Z)", changelog, re.MULTILINE)
        if found and found[1].strip():
            return found[1].strip() + "\n"
    sys.exit(f"CHANGELOG.md has no section '## [{version}] - YYYY-MM-DD' with something in it: give what is Unreleased that title")


def template(version, architectures):
    """The template with the places of what it deploys: a bucket and a prefix, which are parameters.

    The version is in the key and no parameter: on an update CloudFormation keeps the value that a parameter has, and would
    keep the functions with it.
    """
    made = copy.deepcopy(yaml_parse(Path("infra/template.yaml").read_text()))

    def place(file):
        return {"Bucket": {"Ref": "ArtifactBucket"}, "Key": {"Fn::Sub": f"${{ArtifactPrefix}}{version}/{file}"}}

    for resource, function in FUNCTIONS.items():
        made["Resources"][resource]["Properties"]["CodeUri"] = place(f"{function}-${{Architecture}}.zip")
    made["Resources"]["Loader"]["Properties"]["DefinitionUri"] = place(DEFINITION.name)
    parameters = made["Parameters"]
    parameters["ArtifactBucket"] = {
        "Type": "String",
        "AllowedPattern": "[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]",
        "ConstraintDescription": "must be the name of a bucket.",
        "Description": "Bucket in the stack's region that holds the release.",
    }
    parameters["ArtifactPrefix"] = {
        "Type": "String",
        "Default": "redshift-loader/",
        "Description": "What the keys of the release begin with; its version and the file's name follow.",
    }
    parameters["Architecture"] |= {"Default": architectures[0], "AllowedValues": architectures}
    groups = made["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    groups.append({"Label": {"default": "The release"}, "Parameters": ["ArtifactBucket", "ArtifactPrefix"]})
    made["Outputs"]["Version"] = {"Description": "The release", "Value": version}
    return json.dumps(made, indent=1, ensure_ascii=False) + "\n"


def pack(path, files):
    """A zip whose bytes depend on the names and contents alone."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, (content, mode) in sorted(files.items()):
            entry = zipfile.ZipInfo(name)  # of 1980
            entry.create_system, entry.external_attr = 3, (0o100000 | mode) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)


def bill(function):
    """What a function is made of, in CycloneDX's form: by cargo-cyclonedx, without when and where it was made."""
    package = Path("functions") / function
    made = package / f"{function}.cdx.json"
    command = ["cargo", "cyclonedx", "--quiet", "--manifest-path", str(package / "Cargo.toml"), "--format", "json"]
    command += ["--spec-version", "1.5", "--target", "x86_64-unknown-linux-gnu", "--override-filename", f"{function}.cdx"]
    try:
        subprocess.run(command, check=True)
        text = made.read_text()
    finally:
        # It writes one for each member of the workspace.
        for depth in ("*", "*/*", "*/*/*"):
            for left in Path().glob(f"{depth}/{made.name}"):
                left.unlink()
    found = json.loads(text.replace(Path.cwd().as_uri(), "file:///redshift-loader"))
    found.pop("serialNumber", None)
    found["metadata"].pop("timestamp", None)
    return json.dumps(found, indent=1) + "\n"


def main():
    command, version, *rest = sys.argv[1:]
    text = notes(version)
    if command == "check":
        return
    out = Path(rest[0])
    if command == "pack":
        built = dict(pair.split("=", 1) for pair in rest[1:])
        out.mkdir(parents=True, exist_ok=True)
        for old in out.iterdir():
            old.unlink()
        for architecture, folder in built.items():
            for function in FUNCTIONS.values():
                bootstrap = Path(folder, function, "bootstrap").read_bytes()
                pack(out / f"{function}-{architecture}.zip", {"bootstrap": (bootstrap, 0o755)})
        warehouse = [file for pattern in WAREHOUSE for file in Path("infra").glob(pattern)]
        pack(out / "warehouse.zip", {str(file.relative_to("infra")): (file.read_bytes(), 0o644) for file in warehouse})
        (out / DEFINITION.name).write_bytes(DEFINITION.read_bytes())
        (out / "template.json").write_text(template(version, list(built)))
        (out / "NOTES.md").write_text(text)
    elif command == "bill":
        for function in FUNCTIONS.values():
            (out / f"{function}.cdx.json").write_text(bill(function))
    else:
        sums = [f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in sorted(out.iterdir())
                if file.name != "SHA256SUMS"]
        (out / "SHA256SUMS").write_text("".join(sums))
        print(f"{out}: {len(sums)} files and their sums")


if __name__ == "__main__":
    main()
