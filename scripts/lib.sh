# What the scripts of this folder share: how they fail and how they show progress. Sourced, never run.
# shellcheck shell=bash

# die CODE SENTENCE NEXT: the one form of an error. CODE is stable (tests and people search for it); NEXT is what to do.
die() {
  printf '%s: %s\nnext: %s\n' "$1" "$2" "$3" >&2
  exit 1
}

# progress LABEL LOG: once a second, shows how long LABEL has run and LOG's last line; in place on a terminal,
# every 20 seconds elsewhere. Ends with the shell that started it.
progress() {
  local seconds=0 line
  while sleep 1 && kill -0 $$ 2>/dev/null; do
    seconds=$((seconds + 1))
    line=$(tail -c 400 "$2" | tr '\r' '\n' | tr -cd '[:print:]\n' | tail -n 1)
    if [[ -t 2 ]]; then
      printf '\r\e[K%.*s' "$(($(tput cols 2>/dev/null || echo 80) - 1))" "$1 ${seconds}s  $line" >&2
    elif ((seconds % 20 == 0)); then
      printf '%.110s\n' "$1 ${seconds}s  $line" >&2
    fi
  done
}

# run_step LABEL LOG COMMAND...: runs COMMAND with its output in LOG and one line of progress. The command stays in the
# foreground, so Ctrl-C reaches it. If it fails: the log's last lines, and the command's status.
run_step() {
  local label=$1 log=$2 status=0 start=$SECONDS watcher
  shift 2
  : >"$log"
  progress "$label" "$log" &
  watcher=$!
  "$@" >"$log" 2>&1 || status=$?
  kill "$watcher" 2>/dev/null || true
  wait "$watcher" 2>/dev/null || true
  [[ ! -t 2 ]] || printf '\r\e[K' >&2
  if ((status == 0)); then
    echo "$label: done in $((SECONDS - start)) s" >&2
  else
    tail -n 30 "$log" >&2
  fi
  return "$status"
}

# need_clang: clang 14 with its sanitizers and libFuzzer, for the commands that want a second compiler. Installed when missing.
need_clang() {
  command -v clang++-14 >/dev/null && [[ -e /usr/lib/llvm-14/lib/clang/14.0.6/lib/linux/libclang_rt.fuzzer-x86_64.a ]] && return
  ((EUID == 0)) || die setup.packages "clang is missing" "sudo apt-get install --no-install-recommends clang-14 libclang-rt-14-dev"
  local log
  log=$(mktemp)
  run_step "clang: install" "$log" apt-get install -yq --no-install-recommends clang-14 libclang-rt-14-dev ||
    die setup.failed "clang could not be installed; apt's words are above" "apt-get update, then again"
  rm "$log"
}
