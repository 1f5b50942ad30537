#!/bin/sh
# Deploys a release with the aws CLI and no other tool of ours: deploy.sh RELEASE BUCKET PARAMETERS STACK ARCHITECTURE [TAG...]
# RELEASE is a folder, or the URL of one (https:// or file://). What SHA256SUMS does not confirm is not deployed.
set -e
release=${1%/} bucket=$2 parameters=$3 stack=$4 architecture=$5
shift 5
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# What the sums list. Names without a folder: nothing is written elsewhere.
files() { sed -n 's/^[0-9a-f]\{64\}  \([A-Za-z0-9_-][A-Za-z0-9._-]*\)$/\1/p' "$1/SHA256SUMS"; }
case $release in
*://*)
    mkdir "$work/release"
    get() { curl --fail --silent --show-error --location --output "$work/release/$1" "$release/$1"; }
    get SHA256SUMS
    files "$work/release" | while read -r file; do get "$file"; done
    release=$work/release
    ;;
esac
[ -f "$release/SHA256SUMS" ] || { echo "$release is no release: it has no SHA256SUMS" >&2; exit 1; }
(cd "$release" && sha256sum --check --strict --quiet SHA256SUMS)
template=$release/template.json
files "$release" | grep -qx template.json || { echo "SHA256SUMS does not confirm template.json" >&2; exit 1; }
# The output Version: the zips are in a folder of its name.
version=$(sed -n '/^  "Version": {$/,/^  }/s/.*"Value": "\(.*\)".*/\1/p' "$template")
"$here/parameters.sh" "$parameters" "$template" > "$work/parameters"
echo "deploying $stack from the release $version with $parameters"
files "$release" | while read -r file; do
    aws s3 cp --only-show-errors "$release/$file" "s3://$bucket/redshift-loader/$version/$file"
done
tr '\n' '\0' < "$work/parameters" | xargs -0 aws cloudformation deploy --stack-name "$stack" --template-file "$template" \
    --s3-bucket "$bucket" --capabilities CAPABILITY_IAM --no-fail-on-empty-changeset --tags Application=redshift-loader "$@" \
    --parameter-overrides "ArtifactBucket=$bucket" "Architecture=$architecture"
aws cloudformation describe-stacks --stack-name "$stack" --query 'Stacks[0].Outputs' --output table
