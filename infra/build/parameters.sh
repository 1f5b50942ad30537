#!/bin/sh
# Prints a file of parameters as `Name=value`, a line each, for --parameter-overrides: parameters.sh FILE
# TEMPLATE. A line of the file is `Name=value`, empty, or begins with `#`. The CLI's own way to read a file takes JSON without
# comments, and leaves out without a word what the template does not have.
file=$1
template=$2
refuse() {
    printf '%s: %s\n' "$file" "$1" >&2
    exit 1
}
[ -f "$file" ] || refuse 'no such file'
grep -v '^[[:space:]]*\(#.*\)\{0,1\}$' "$file" | while IFS= read -r line; do
    name=${line%%=*}
    [ "$name" != "$line" ] || refuse "'$line' has to be Name=value"
    case $name in
    # What a name from before has become.
    LoadProcedure) refuse "$name is no parameter of the template; Procedures lists it and the audits, separated by commas" ;;
    AuditProcedure) refuse "$name is no parameter of the template; Procedures lists the load and it, separated by commas" ;;
    AuditTable | FullAuditProcedure) refuse "$name is no parameter of the template; it is ${name}s" ;;
    *[!A-Za-z0-9]* | '') refuse "'$line' has to be Name=value" ;;
    esac
    grep -q "^ *\"\{0,1\}$name\"\{0,1\}: *{\{0,1\}\$" "$template" || refuse "$name is no parameter of the template"
    printf '%s\n' "$line"
done
