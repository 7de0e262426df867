#!/bin/sh
# test.sh [FILE...]: all checks and all tests; with files, only those tests.
set -eu
PATH=$PWD/node_modules/.bin:$PATH
export PATH
# Each test file is a process: what one of them has compiled, types taken out, the others need not.
: "${NODE_COMPILE_CACHE:=$PWD/node_modules/.cache/switchyard}"
export NODE_COMPILE_CACHE
# Programs are run as the image has them.
node image/bundle.ts dist
SWITCHYARD_MAIN=dist/cli/main.js
export SWITCHYARD_MAIN

[ $# -eq 0 ] || exec node scripts/run-tests.ts "$@"

# An emulated processor takes a real one all the time, and all else waits now and then: it gets what is left.
node scripts/run-tests.ts machines &
machines=$!
trap 'kill "$machines" 2>/dev/null || true' EXIT
trap 'exit 1' HUP INT TERM
renice -n 10 -p $$ >/dev/null 2>&1 || true

echo 'lint, format, types, import directions, generated files, units'
# The linter's types and the compiler are Go programs that hold on to nearly all they make, 0.7 GB at most: to collect the rest
# takes a third of their time. Each of several checkers in the compiler does part of the others' work again.
{ GOGC=off oxlint && GOGC=off tsc --noEmit --singleThreaded; } &
checks=$!
failed=0
# What needs no process of its own shares one: to start it and to load what it tests takes longer than most units do.
{ oxfmt --check && node scripts/check-imports.ts && node scripts/generate-crds.ts --check &&
  node --test --test-isolation=none --test-reporter=spec 'test/unit/**/*.test.ts'; } || failed=$?
wait "$checks" || failed=$?
[ "$failed" = 0 ] || exit "$failed"

node scripts/run-tests.ts others || failed=$?
wait "$machines" || failed=$?
exit "$failed"
