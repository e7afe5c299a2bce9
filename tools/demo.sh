#!/usr/bin/env bash
# A tour on real work, in a queue of its own that is gone afterwards: make demo.
# Needs queuectl and queuectld in PATH. Touches no other queue of yours.
set -euo pipefail
cd "$(dirname "$0")/.."

QUEUECTL_HOME=$(mktemp -d "${TMPDIR:-/tmp}/queuectl-demo.XXXXXX")
export QUEUECTL_HOME
unset QUEUECTL_SOCKET

clean_up() {
    queuectl daemon stop --now >/dev/null 2>&1 || true
    rm -rf "$QUEUECTL_HOME"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

say() { printf '\n# %s\n' "$*"; }

# Print a command as it could be typed, then run it.
show() {
    local word line='$'
    for word; do
        case $word in
            *[!A-Za-z0-9_./:=,@%+-]*) line+=" '${word//\'/\'\\\'\'}'" ;;
            *) line+=" $word" ;;
        esac
    done
    printf '%s\n' "$line"
    "$@"
}

say "A daemon in the background, and two workers"
show queuectl daemon start
show queuectl worker start --count 2

say "Two jobs keep both workers busy; then the rest queues up, urgent last"
show queuectl enqueue --id busy1 'sleep 1; echo done'
show queuectl enqueue --id busy2 'sleep 1; echo done'
show queuectl enqueue --id lines \
    'find queuectl queuectld -name "*.py" | xargs wc -l | sort -rn | head -n 4'
show queuectl enqueue --id words -- grep -rhoc lease docs
show queuectl enqueue --id broken --max-retries 1 'ls no/such/directory'
show queuectl enqueue --id endless --max-retries 0 --timeout 1 'echo here I stay; sleep 60'
show queuectl enqueue --id urgent --priority 10 'echo I was last in and first out'
show queuectl status

say "Wait for all of them; the exit code is that of the first failure"
code=0
show queuectl wait busy1 busy2 lines words broken endless urgent --timeout 30s ||
    code=$?
echo "exit code $code"
[ "$code" = 2 ] # what ls ended with

say "What became of them"
show queuectl status
show queuectl list
show queuectl logs lines
show queuectl logs broken

say "The dead letter queue: what failed once too often"
show queuectl dlq list
show queuectl show broken

say "Statistics"
show queuectl stats

say "Stop the workers, then the daemon"
show queuectl worker stop
show queuectl daemon stop
