#!/bin/sh
# build-rootfs.sh FOLDER: makes the file system of the image out of Debian packages and this checkout after `npm ci`.
# Needs root and apt, and no registry. The Dockerfile does nothing else. There is no shell in it, and no package manager.
# build-rootfs.sh --fetch: only downloads the packages, for a build without a network.
set -eu
root=${1:?build-rootfs.sh FOLDER}
cd "$(dirname -- "$0")/.."

# What the agent runs, and the libraries of these programs and of Node.
PROGRAMS='iptables nftables ipset kmod'
LIBRARIES='libc6 gcc-12-base libgcc-s1 libstdc++6 libip4tc2 libip6tc2 libxtables12 libmnl0 libnfnetlink0 libnetfilter-conntrack3 libnftnl11
  libnftables1 libedit2 libjansson4 libgmp10 libbsd0 libmd0 libtinfo6 libipset13 libkmod2 liblzma5 libzstd1 libssl3'

mkdir -p .cache/image
debs=$PWD/.cache/image/$(dpkg --print-architecture)
if [ "$(cat "$debs/complete" 2>/dev/null)" != "$PROGRAMS $LIBRARIES" ]; then
  rm -rf "$debs"
  mkdir -p "$debs"
  # shellcheck disable=SC2086 # lists of package names
  (cd "$debs" && apt-get -qq -o APT::Sandbox::User=root download $PROGRAMS $LIBRARIES >&2)
  echo "$PROGRAMS $LIBRARIES" >"$debs/complete"
fi
if [ "$root" = --fetch ]; then exit 0; fi
# As Debian has it: the packages of bookworm still name the folders that are links now.
for folder in bin sbin lib lib64; do
  mkdir -p "$root/usr/$folder"
  [ -e "$root/$folder" ] || ln -s "usr/$folder" "$root/$folder"
done
for deb in "$debs"/*.deb; do
  dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$root" --keep-directory-symlink
done

# Debian sets these links when it installs a package.
for tool in iptables ip6tables; do
  for action in '' -save -restore; do
    ln -sf xtables-nft-multi "$root/usr/sbin/$tool$action"
  done
done
# Where the host's own rules are made with iptables-legacy, PATH begins with this folder.
mkdir -p "$root/opt/iptables-legacy"
for tool in iptables ip6tables; do
  for action in '' -save -restore; do
    ln -sf /usr/sbin/xtables-legacy-multi "$root/opt/iptables-legacy/$tool$action"
  done
done

# What may be passed on only with its terms keeps them.
mkdir -p "$root/licenses"
for folder in "$root"/usr/share/doc/*/; do
  if [ -f "$folder/copyright" ]; then cp "$folder/copyright" "$root/licenses/$(basename "$folder")"; fi
done

rm -rf "$root/usr/share" "$root"/usr/lib/*/gconv "$root"/usr/lib/*/audit "$root"/usr/lib/*/engines-3 \
  "$root"/usr/lib/*/ossl-modules "$root/var" "$root/etc" "$root/usr/lib/systemd" "$root/usr/lib/init"
mkdir -p "$root/etc" "$root/tmp" "$root/run" "$root/proc" "$root/sys" "$root/dev" "$root/lib/modules" \
  "$root/var/lib/switchyard" "$root/host/proc/sys" "$root/host/sysctl.d" "$root/host/modules-load.d"
ln -s ../run "$root/var/run"
mkdir -p "$root/usr/share"
mv "$root/licenses" "$root/usr/share/licenses"
if [ -d /usr/share/common-licenses ]; then cp -RL /usr/share/common-licenses "$root/usr/share/common-licenses"; fi
# By these, scanners know the distribution and its packages.
cp -L /etc/os-release "$root/etc/os-release"
mkdir -p "$root/var/lib/dpkg/status.d"
for deb in "$debs"/*.deb; do
  dpkg-deb --field "$deb" >"$root/var/lib/dpkg/status.d/$(dpkg-deb --field "$deb" Package)"
done
touch "$root/run/xtables.lock"
printf 'root:x:0:0:root:/:/\nnonroot:x:65532:65532:nonroot:/:/\n' >"$root/etc/passwd"
printf 'root:x:0:\nnonroot:x:65532:\n' >"$root/etc/group"

install -D -m 0755 node_modules/node/bin/node "$root/usr/bin/node"
for license in node_modules/node/node_modules/node-linux-*/LICENSE; do
  if [ -f "$license" ]; then cp "$license" "$root/usr/share/licenses/node"; fi
done
node_modules/node/bin/node image/pack-application.ts "$root/opt/switchyard"
# Compiled once here: the root is read-only later. With the flags of the Dockerfile, since V8 takes nothing that was compiled
# with others.
chroot "$root" /usr/bin/node --max-semi-space-size=2 --expose-gc --liftoff-only -e '
  const { enableCompileCache, flushCompileCache } = require("node:module");
  enableCompileCache("/opt/switchyard/.compiled");
  // What stands in folders is begun with; what these share lies beside the folders.
  const files = require("node:fs").readdirSync("/opt/switchyard/dist", { recursive: true });
  const parts = files.filter((file) => /\/.*\.js$/.test(file));
  process.argv = ["node", "switchyard", "--version"];
  Promise.all(parts.map((part) => import(`/opt/switchyard/dist/${part}`))).then(() => flushCompileCache());
' >/dev/null
chmod -R a+rX "$root/opt" "$root/usr"

for program in 'iptables --version' 'ip6tables-restore --version' '/opt/iptables-legacy/iptables --version' \
  'nft --version' 'ipset help' 'modprobe --version' 'rmmod --version' 'node --version'; do
  # shellcheck disable=SC2086 # a program and its argument
  PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot "$root" $program >/dev/null || {
    echo "build-rootfs.sh: $program does not run in the image" >&2
    exit 1
  }
done
