"""Parses every statement of the SQL as Redshift, and refuses what Redshift lacks. Run by `make lint`.

A procedure's body is no SQL that sqlglot reads: its statements are taken apart here, those of EXECUTE with their variables
filled in.
"""
import logging
import re
import sys
from pathlib import Path

import sqlglot

# What PostgreSQL has and Redshift lacks, or takes in another meaning.
# [Amazon Redshift Database Developer Guide, "Unsupported PostgreSQL features"]
LACKING = {
    r"\bIS\s+(NOT\s+)?DISTINCT\s+FROM\b": "IS DISTINCT FROM",
    r"\bON\s+CONFLICT\b": "ON CONFLICT",
    r"\bRETURNING\b": "RETURNING",
    r"\bSTRING_AGG\s*\(": "STRING_AGG",
    r"\bFORMAT\s*\(": "FORMAT",
    r"\bGENERATE_SERIES\s*\(": "GENERATE_SERIES",
    r"\bARRAY\s*\[|\bARRAY_AGG\s*\(|\bUNNEST\s*\(": "arrays",
    r"\bLATERAL\b": "LATERAL",
    r"\bFILTER\s*\(": "FILTER",
    r"\b(UUID|JSONB?|BYTEA|SERIAL|BIGSERIAL)\b": "a type that Redshift does not have",
    r"\bTEXT\b": "TEXT, which is VARCHAR(256) there",
    r"::": "::, for which CAST is written here",
    r"\bNOW\s*\(|\bCLOCK_TIMESTAMP\s*\(|\bCURRENT_TIMESTAMP\b": "a clock of PostgreSQL's: GETDATE() is written here",
    r"\bPERFORM\b": "PERFORM",
    r"\bON\s+COMMIT\b": "ON COMMIT",
    r"\bCREATE\s+(UNIQUE\s+)?INDEX\b": "an index",
    r"\bNULLS\s+NOT\s+DISTINCT\b": "NULLS NOT DISTINCT",
}
# What sqlglot passes through unread.
KNOWN_COMMANDS = re.compile(r"CREATE EXTERNAL SCHEMA\b|ALTER TABLE \S+ ALTER (DISTKEY|DISTSTYLE|COMPOUND SORTKEY)\b", re.I)
# Statements of PL/pgSQL itself; what they hold of SQL follows as a statement of its own.
CONTROL = re.compile(r"^(IF|ELSIF|ELSE|END|FOR|LOOP|EXIT|RETURN|RAISE|GET DIAGNOSTICS|LOCK|CALL|BEGIN|DECLARE|\w+ :=|\w+ (CONSTANT )?\w+(\(\d+\))?( :=|;))", re.I)


def without_comments(sql):
    return re.sub(r"--[^\n]*", "", sql)


def quoted(text, start):
    """The end of the expression of strings and variables that begins at `start`, up to its semicolon."""
    inside = False
    for at in range(start, len(text)):
        if text[at] == "'":
            inside = not inside
        elif text[at] == ";" and not inside:
            return at
    return len(text)


def executed(expression, constants):
    """The SQL of an EXECUTE: its strings and constants, with something plausible for each variable between them."""
    sql, plain = "", ""
    for n, part in enumerate(re.split(r"'((?:[^']|'')*)'", expression)):
        if n % 2:
            sql += part.replace("''", "'")
            continue
        sql += "".join(constants.get(name, "") for name in re.findall(r"\w+", part))
        # CASE ... END chooses between conditions.
        sql += " run_id = 1 " if re.search(r"\b(in_runs|in_window|in_differing|without_run|judges_without_run)\b", part) else ""
        sql += " 1 " if re.search(r"\bthis_audit\b", part) else ""
        sql += "x" if re.search(r"\bwanted\.name\b", part) else ""
        sql += "BIGINT" if re.search(r"\bwanted\.type\b", part) else ""
    # REPLACE(in_window, 'run_id', ...) leaves its arguments behind.
    return re.sub(r"run_id = 1 (run_id)?(CAST\(run_id AS BIGINT\)|orders_audit\.run_id|a\.run_id)?", "run_id = 1 ", sql)


def statements(body):
    """The SQL statements of a procedure's body."""
    body = without_comments(body)
    strings = re.findall(r"(\w+) CONSTANT VARCHAR\(\d+\) :=\s*'((?:[^']|'')*)';", body)
    constants = {name: text.replace("''", "'") for name, text in strings}
    yield from re.findall(r"\bFOR\s+\w+\s+IN\s+(SELECT.*?)\s+LOOP\b", body, re.I | re.S)
    at = 0
    while at < len(body):
        end = quoted(body, at)
        statement = body[at:end].strip()
        at = end + 1
        statement = re.sub(r"^(BEGIN|ELSE|LOOP|IF\b.*?\bTHEN|ELSIF\b.*?\bTHEN|FOR\b.*?\bLOOP)\s+", "", statement, flags=re.I | re.S)
        if found := re.match(r"EXECUTE\s+", statement, re.I):
            yield executed(statement[found.end():], constants)
        elif statement and not CONTROL.match(statement + ";"):
            yield re.sub(r"\bINTO\s+\w+(\s*,\s*\w+)*(?=\s+FROM)", "", statement, flags=re.I) if statement.upper().startswith("SELECT") else statement


def check(path):
    text = path.read_text()
    wrong, seen = [], 0
    plain = without_comments(text)
    for pattern, name in LACKING.items():
        for found in re.finditer(pattern, plain, re.I):
            line = text[: text.find(found[0])].count("\n") + 1
            wrong.append(f"{path}:{line}: {name}")
    parts = re.split(r"CREATE OR REPLACE PROCEDURE.*?AS \$\$(.*?)\$\$ LANGUAGE plpgsql[^;]*;", text, flags=re.S)
    sql = []
    for n, part in enumerate(parts):
        sql += list(statements(part)) if n % 2 else [each for each in without_comments(part).split(";") if each.strip()]
    for statement in sql:
        seen += 1
        try:
            parsed = sqlglot.parse_one(statement, read="redshift")
            if isinstance(parsed, sqlglot.exp.Command) and not KNOWN_COMMANDS.match(statement.strip()):
                wrong.append(f"{path}: sqlglot does not read {' '.join(statement.split())[:120]}")
        except sqlglot.errors.SqlglotError as error:
            wrong.append(f"{path}: {' '.join(statement.split())[:120]}: {str(error).splitlines()[0]}")
    return seen, wrong


logging.getLogger("sqlglot").setLevel(logging.ERROR)
folder = Path("infra/sql")
files = [*folder.glob("*.sql"), *(folder / "audits").glob("*.sql"), *(folder / "redshift").glob("*.sql"), *Path("functions").glob("*/queries.sql")]
checked = [check(path) for path in sorted(files)]
seen, wrong = sum(n for n, _ in checked), [each for _, some in checked for each in some]
print(f"{seen} statements of {len(files)} files, {len(wrong)} findings", *wrong, sep="\n")
sys.exit(bool(wrong) or not seen)
