#!/bin/sh
# with-setup.sh demo|test [arguments]: installs what the command needs and is not there yet, says so, then runs it.
# shellcheck disable=SC2086 # the lists of packages are meant to be split
set -eu
command=$1
shift
cd "$(dirname -- "$0")/.."

say() { echo "switchyard: $*" >&2; }

install_npm_packages() {
  if [ -x node_modules/node/bin/node ] && [ node_modules/.package-lock.json -nt package-lock.json ]; then return; fi
  say "installing the npm packages of package-lock.json (npm ci)"
  npm ci --no-audit --no-fund --loglevel=error >&2
  touch node_modules/.package-lock.json
}

# A command, or a path, and the Debian package that brings it.
missing_packages() {
  for pair in "$@"; do
    case $pair in
      /*) [ -e "${pair%%:*}" ] || printf '%s ' "${pair#*:}" ;;
      *) PATH=$PATH:/usr/sbin:/sbin command -v "${pair%%:*}" >/dev/null 2>&1 || printf '%s ' "${pair#*:}" ;;
    esac
  done
}

# COMMAND:PACKAGE...; fails when one of them cannot be had.
install_debian_packages() {
  missing=$(missing_packages "$@")
  if [ -z "$missing" ]; then return; fi
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
    say "these programs are missing; install them as root: apt-get install $missing"
    return 1
  fi
  say "installing the Debian packages: $missing"
  apt-get update -qq >&2 && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >&2
}

install_for_tests() {
  # At once: each installation reads all lists and makes the index of manuals anew, some five seconds.
  install_debian_packages $NODE_PROGRAMS $TEST_PROGRAMS $MACHINE_PROGRAMS $RENDERER_PACKAGES $CONTAINER_PROGRAMS && return
  say 'not all of them can be had; installing what can'
  install_debian_packages $NODE_PROGRAMS $TEST_PROGRAMS || return 1
  install_debian_packages $MACHINE_PROGRAMS || say 'no qemu to be had; what needs it is skipped'
  install_debian_packages $RENDERER_PACKAGES || say 'no Go to be had; the tests of the chart are skipped'
  install_debian_packages $CONTAINER_PROGRAMS || say 'no crun to be had; the tests in containers are skipped'
}

# The tests drive Debian's kubectl; it is unpacked beside the checkout's other caches and installed nowhere.
fetch_kubectl() {
  if [ -x .cache/kubectl/usr/bin/kubectl ] || [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then return; fi
  say "unpacking kubectl from the Debian package kubernetes-client into .cache"
  mkdir -p .cache/kubectl
  [ -n "$(apt-cache policy kubernetes-client 2>/dev/null)" ] || apt-get update -qq >&2 || true
  (cd .cache/kubectl && apt-get -qq -o APT::Sandbox::User=root download kubernetes-client >&2 && dpkg -x kubernetes-client_*.deb .) ||
    say "no kubectl to be had; the tests use the one on PATH, or skip what needs it and say so"
}

# Downloads a Debian package into the present folder, after a look at what there is where nobody has looked yet.
download_package() {
  apt-get -qq -o APT::Sandbox::User=root download "$1" >&2 2>/dev/null ||
    { apt-get update -qq >&2 && apt-get -qq -o APT::Sandbox::User=root download "$1" >&2; }
}

# Of Prometheus only the tool that checks rules; 19 MB to fetch.
fetch_promtool() {
  if [ -x .cache/promtool/usr/bin/promtool ] || [ "$(id -u)" != 0 ]; then return; fi
  say "unpacking promtool from the Debian package prometheus into .cache"
  mkdir -p .cache/promtool
  (cd .cache/promtool && download_package prometheus &&
    dpkg-deb --fsys-tarfile prometheus_*.deb | tar -x ./usr/bin/promtool && rm prometheus_*.deb) ||
    say 'no promtool to be had; the tests of the alerts are skipped'
}

# The tests run containers as an engine would, with the seccomp profile that engines ship, of an image that is made here.
fetch_for_containers() {
  if [ "$(id -u)" != 0 ]; then return; fi
  if [ ! -e .cache/container/usr/share/containers/seccomp.json ]; then
    say "unpacking the seccomp profile of container engines from a Debian package into .cache"
    mkdir -p .cache/container
    (cd .cache/container && download_package golang-github-containers-common &&
      dpkg -x golang-github-containers-common_*.deb .) || say 'no seccomp profile to be had; what needs it is skipped'
  fi
  sh image/build-rootfs.sh --fetch || say 'the packages of the image are not to be had; the tests in containers are skipped'
}

require_root() {
  if [ "$(id -u)" = 0 ]; then return; fi
  say "$1 makes network namespaces and needs root; run: sudo npm run $command"
  exit 1
}

NODE_PROGRAMS='ip:iproute2 nft:nftables iptables-restore:iptables'
TEST_PROGRAMS='conntrack:conntrack'
# Some tests boot a virtual machine for what this kernel may not have; what runs in it is unpacked into .cache/vm.
MACHINE_PROGRAMS='qemu-system-x86_64:qemu-system-x86'
CONTAINER_PROGRAMS='crun:crun'
# What helm is made of: the tests of the chart render it with the same libraries.
GO_LIBRARIES=/usr/share/gocode/src
RENDERER_PACKAGES="go:golang-go $GO_LIBRARIES/github.com/Masterminds/sprig:golang-github-masterminds-sprig-dev
  $GO_LIBRARIES/sigs.k8s.io/yaml:golang-k8s-sigs-yaml-dev"

PATH=$PATH:/usr/sbin:/sbin
export PATH
case $command in
  demo)
    require_root 'the demo'
    install_npm_packages
    install_debian_packages $NODE_PROGRAMS
    exec bin/switchyard demo "$@"
    ;;
  test)
    require_root 'the test suite'
    # Beside the rest: both mostly wait for the network.
    install_npm_packages &
    npm=$!
    install_for_tests || {
      wait
      exit 1
    }
    fetch_kubectl
    fetch_for_containers
    fetch_promtool
    wait "$npm"
    exec sh scripts/test.sh "$@"
    ;;
  *)
    say "unknown command $command"
    exit 2
    ;;
esac
