#!/usr/bin/env bash
#SBATCH --job-name=kws
#SBATCH --array=0-3
#SBATCH --cpus-per-task=4
#SBATCH --mem=8G
#SBATCH --time=04:00:00
# A sweep by a SLURM array: sbatch cluster/slurm.sh cluster/runs.txt
# Submitted where the project is, set up and its commit pushed to origin. Each task works in a clone of its own.
set -euo pipefail
project=$SLURM_SUBMIT_DIR
runs=$(realpath "$project/${1:-cluster/runs.txt}")
source "$project/.venv/bin/activate"
clone=$(mktemp -d)
trap 'rm -rf "$clone"' EXIT
git clone -q "$(git -C "$project" remote get-url origin)" "$clone"
cd "$clone"
git checkout -q "$(git -C "$project" rev-parse HEAD)"
if [ -f "$project/.dvc/config.local" ]; then cp "$project/.dvc/config.local" .dvc/; fi # where the remote's keys are, if not in ~
export KWS_WORKERS=${SLURM_CPUS_PER_TASK:-1}
cluster/share.sh "$runs" "$SLURM_ARRAY_TASK_ID" "$SLURM_ARRAY_TASK_COUNT"
