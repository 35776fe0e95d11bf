# shellcheck shell=bash disable=SC2016 # conditions are handed to eval as they are
# How the story is told: chapters, claims that hold or not, and the commands with what they print.
passed=0

chapter() { printf '\n=== %s\n' "$1"; }

# run COMMAND…: as one would type it, and its output.
run() {
  printf '  $ %s\n' "$*"
  local status=0
  "$@" 2>&1 | sed 's/^/    /' || status=$?
  return $status
}

note() { printf '  %s\n' "$*"; }

# claim TEXT FUNCTION…: the function shows it, or ends with an error; then the story ends too, with what the cluster says.
claim() {
  local text=$1 began=$SECONDS
  shift
  printf '\n- %s\n' "$text"
  # In the background, since `set -e` sleeps within a condition.
  (
    set -euo pipefail
    "$@"
  ) &
  if wait $!; then
    passed=$((passed + 1))
    printf '  ok (%d s)\n' $((SECONDS - began))
  else
    printf '  FAILED: %s\n' "$text"
    after_failure || true
    printf '\ntest result: FAILED. %d passed; 1 failed; 0 ignored; 0 measured; 0 filtered out\n' "$passed"
    exit 1
  fi
}

verdict() {
  printf '\nthe story took %d s\n' "$SECONDS"
  printf 'test result: ok. %d passed; 0 failed; 0 ignored; 0 measured; 0 filtered out\n' "$passed"
}

# until_true SECONDS WHAT COMMAND…: waits until it succeeds.
until_true() {
  local limit=$1 what=$2 end=$((SECONDS + $1))
  shift 2
  until "$@" >"$BED/last" 2>&1; do
    if [ $SECONDS -ge $end ]; then
      printf '  never within %d s: %s. Last:\n' "$limit" "$what"
      sed 's/^/    /' "$BED/last"
      return 1
    fi
    sleep 0.3
  done
}

# equal WHAT ONE OTHER
equal() {
  if [ "$2" != "$3" ]; then
    printf '  %s: "%s" is not "%s"\n' "$1" "$2" "$3"
    return 1
  fi
}

# ends_with CODE PATTERN COMMAND…: its exit code, and a line of its output, standard error too, that fits. Shows twelve.
ends_with() {
  local code=$1 pattern=$2 out status=0
  shift 2
  out=$("$@" 2>&1) || status=$?
  printf '  $ %s\n' "$*"
  sed -n 's/^/    /; 1,12p; 13s/.*/    …/p' <<<"$out"
  equal 'exit code' "$status" "$code"
  grep -qE -- "$pattern" <<<"$out" || {
    printf '  no line fits /%s/\n' "$pattern"
    return 1
  }
}
