#!/bin/sh
# test.sh [FILE...]: all checks and all tests; with files, only those tests.
set -eu
PATH=$PWD/node_modules/.bin:$PATH
export PATH

if [ $# -eq 0 ]; then
  echo 'lint, format, types, import directions, generated files'
  eslint .
  prettier --check --log-level warn .
  tsc --noEmit
  node scripts/check-imports.ts
  node scripts/generate-crds.ts --check
  set -- 'test/**/*.test.ts'
fi
# Two at a time: the machines that this runs on have two cores, and a starved test tells nothing.
exec node --test --test-concurrency=2 --test-reporter=spec "$@"
