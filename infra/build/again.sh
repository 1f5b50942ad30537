#!/bin/sh
# Runs a command on a copy of the tracked files in another folder, and compares what it makes with what is here:
# again.sh RESULT COMMAND... RESULT is a folder, relative to the project. A failed comparison leaves the copy for a look.
set -e
result=$1
shift
copy=$(mktemp -d)
git ls-files -z | tar --null --files-from=- --create | tar --extract --directory "$copy"
# What is installed is no input: its versions are locked.
ln -s "$PWD/.tools" "$copy/.tools"
(cd "$copy" && "$@")
diff --recursive "$result" "$copy/$result" || { echo "$result depends on the folder or the time: compare with $copy" >&2; exit 1; }
rm -rf "$copy"
echo "$result: the same, byte for byte, from another folder"
