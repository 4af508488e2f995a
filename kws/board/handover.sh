#!/bin/sh
# Runs the model of this folder that is for the board's chip, and writes results.tar beside itself.
#   sh run.sh [TARGET]     TARGET is a folder's name, e.g. ax630c, where the board does not say its chip
# It needs a shell, tar and ax_run_model, and changes nothing outside of this folder. It keeps what the tool
# prints and writes, the versions and the chip; no names or addresses, and nothing is sent anywhere.
cd "$(dirname "$0")" || exit 1
umask 077
rm -rf results results.tar results.tar.part output crlf pid
mkdir results || exit 1
failed=

say() {
  printf '%s\n' "$*"
  printf '%s\n' "$*" >>results/log.txt
}
keep() { # KEY VALUE
  printf '%s=%s\n' "$1" "$2" >>results/run.txt
}
pack() {
  trap - EXIT INT TERM HUP
  [ -d output ] && mv output results/output
  if tar -cf results.tar.part results && mv results.tar.part results.tar; then
    printf '%s\n' "Bring back $(pwd)/results.tar${failed:+, although something failed: it says what}"
  else
    printf '%s\n' "Cannot write results.tar; make room, and run this again"
    failed=1
  fi
  exit "${failed:-0}"
}
give_up() {
  say "$*"
  failed=1
  exit 1
}
trap pack EXIT
stop() {
  [ -f pid ] && kill "$(cat pid)" 2>/dev/null
  wait
  give_up "stopped by hand"
}
trap stop INT TERM HUP

outputs() { # FOLDER: how many answers it holds
  n=0
  for file in "$1"/*/output.bin; do [ -f "$file" ] && n=$((n + 1)); done
  echo "$n"
}
call() { # NAME SECONDS ARGUMENTS: one run of the tool; its words, bounded, and its status are kept
  name=$1 seconds=$2
  shift 2
  say "$name: ax_run_model $*"
  {
    ${limit:+"$limit" "$seconds"} "$tool" -m "$target/kws.axmodel" "$@" </dev/null 2>&1 &
    echo $! >pid
    wait $!
    echo $? >results/status
  } | head -c 262144 >"results/$name.txt" &
  wait # in the background, because a shell that waits hears Ctrl-C at once
  rm -f pid
  code=$(cat results/status)
  rm -f results/status
  keep "$name" "$code"
  [ "$code" = 0 ] && return 0
  failed=1
  say "  ended with exit status $code"
  return 1
}

cp handover.json results/ || give_up "handover.json is missing; unpack the whole archive"
uname -srm >results/system.txt
for file in /proc/ax_proc/version /proc/ax_proc/mem_cmm_info; do
  [ -r "$file" ] && { echo "$file"; head -c 65536 "$file"; } >>results/system.txt
done
cat /proc/[0-9]*/comm 2>/dev/null | grep '^llm' | sort -u >results/services.txt
sh ./probe.sh >results/probe.txt 2>/dev/null
tool=$(sed -n 's/^tool=//p' results/probe.txt | head -n 1)
limit=$(sed -n 's/^limit=//p' results/probe.txt | head -n 1)
chip=$(sed -n 's/^chip=//p' results/probe.txt | head -n 1 | tr a-z A-Z)

target=$1
while [ -z "$1" ] && read -r name _ _ chips; do
  for part in $chips; do
    case $chip in *"$part"*) target=$name ;; esac
  done
done <targets.txt
line=$(grep "^${target:-none} " targets.txt) ||
  give_up "chip '$chip', target '$target': no model here is for it; sh run.sh TARGET, one of: $(cut -d ' ' -f 1 targets.txt | tr '\n' ' ')"
keep target "$target"
keep sha256 "$(sha256sum "$target/kws.axmodel" 2>/dev/null | cut -c 1-64)"
[ -n "$tool" ] || give_up "no ax_run_model on PATH, in /opt/bin or /usr/bin; install the BSP's tools"
# shellcheck disable=SC2086
set -- $line
warmup=$2 repeat=$3 inputs=$(grep -c . list.txt)

loads=
for i in 1 2 3; do
  call "load$i" 60 -w 1 -r 1 && loads=1
done
[ -n "$loads" ] || give_up "the model does not run here, so nothing else is tried"
call times $((60 + (warmup + repeat) / 10)) -w "$warmup" -r "$repeat"
call list $((60 + 2 * inputs)) -i input -o output -l list.txt
keep listed "$(outputs output)"
while read -r i; do
  [ -f "output/$i/output.bin" ] && continue
  echo "$i" >one.txt
  call single 60 -i input -o output -l one.txt
done <list.txt
[ "$(outputs output)" = "$inputs" ] || { failed=1; say "answers: $(outputs output) of $inputs"; }
head -n 3 list.txt | while read -r i; do printf '%s\r\n' "$i"; done >crlf.txt
before=$failed
call crlf 66 -i input -o crlf -l crlf.txt
failed=$before # it is expected to go wrong: see docs/board.md
keep crlf_outputs "$(outputs crlf)"
