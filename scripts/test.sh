#!/bin/sh
# test.sh [FILE...]: all checks and all tests; with files, only those tests.
set -eu
PATH=$PWD/node_modules/.bin:$PATH
export PATH
# Each test file is a process: what one of them has compiled, types taken out, the others need not.
: "${NODE_COMPILE_CACHE:=$PWD/node_modules/.cache/switchyard}"
export NODE_COMPILE_CACHE

if [ $# -eq 0 ]; then
  echo 'lint, format, types, import directions, generated files'
  # Side by side: the linter alone takes as long as all others.
  eslint . &
  linter=$!
  rest=0
  { prettier --check --log-level warn . && tsc --noEmit && node scripts/check-imports.ts &&
    node scripts/generate-crds.ts --check; } || rest=$?
  wait "$linter"
  [ "$rest" = 0 ] || exit "$rest"
  set -- 'test/**/*.test.ts'
fi
# Two at a time: the machines that this runs on have two cores, and a starved test tells nothing.
exec node --test --test-concurrency=2 --test-reporter=spec "$@"
