#!/usr/bin/env bash
# This machine's share of a sweep: cluster/share.sh RUNS INDEX OF
# RUNS has the arguments of one `dvc exp run` a line; machine INDEX (from 0) of OF takes every OF-th. Each experiment is pushed as
# soon as it is done, named after the file and its line. A run that fails leaves the others alone and makes the whole fail.
set -euo pipefail
runs=$1 index=$2 of=$3
name=$(basename "${runs%.*}")
dvc fetch --run-cache >/dev/null 2>&1 || true # what others have made; an empty remote has none
number=0 failed=0
while IFS= read -r line <&3 || [ -n "$line" ]; do
  case $line in '' | '#'*) continue ;; esac
  number=$((number + 1))
  [ $(((number - 1) % of)) = "$index" ] || continue
  git checkout -q HEAD -- params.yaml # which each run writes
  dvc exp remove -q "$name-$number" >/dev/null 2>&1 || true # of an earlier start
  if ! { xargs dvc exp run --pull -n "$name-$number" <<<"$line" && dvc exp push --run-cache -f origin "$name-$number"; }; then
    echo "error: $runs: run $number ($line) failed" >&2
    failed=1
  fi
done 3<"$runs"
exit $failed
