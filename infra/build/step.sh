#!/bin/sh
# Runs a step of the set-up so that it can be watched: step.sh "1/3 install the tools" command...
# On a terminal the command shows its own progress; elsewhere a step is one line. NO_COLOR is honoured.
label=$1
shift
if [ -t 2 ]; then
    if [ -z "$NO_COLOR" ]; then bold=$(printf '\033[1m') plain=$(printf '\033[0m'); fi
    printf '%s%s%s\n' "$bold" "$label" "$plain" >&2
else
    export CARGO_TERM_QUIET=true PIP_QUIET=1 PIP_PROGRESS_BAR=off
    printf '%s ... ' "$label" >&2
    label=
fi
began=$(date +%s)
"$@" || { code=$?; printf '%sfailed after %s s\n' "${label:+$label: }" $(($(date +%s) - began)) >&2; exit $code; }
printf '%s%s s\n' "${label:+$label: }" $(($(date +%s) - began)) >&2
