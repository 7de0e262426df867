import { execFile, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const BUILD = fileURLToPath(new URL('../../image/build-rootfs.sh', import.meta.url));
/** The profile that podman and CRI-O call the default, from a Debian package that is unpacked here. */
export const SECCOMP_FILE = fileURLToPath(
  new URL('../../.cache/container/usr/share/containers/seccomp.json', import.meta.url),
);

/** The Debian packages that the image is made of, all of them there. */
const PACKAGES = fileURLToPath(
  new URL(`../../.cache/image/${process.arch === 'x64' ? 'amd64' : process.arch}/complete`, import.meta.url),
);

/** Why no container can run on this machine; undefined when one can. */
export function engineIsMissing(): string | undefined {
  if (process.getuid?.() !== 0) return 'needs root';
  if (spawnSync('crun', ['--version']).status !== 0) return 'no crun: apt-get install crun';
  const missing = [SECCOMP_FILE, PACKAGES].find((path) => !existsSync(path));
  return missing === undefined ? undefined : `no ${missing}: run it through npm test`;
}

/** What `docker build` leaves to a step of a Dockerfile; NET_ADMIN is not among it. */
const OF_A_BUILD = [
  ...['chown', 'dac_override', 'fowner', 'fsetid', 'kill', 'setgid', 'setuid', 'setpcap', 'setfcap'],
  ...['net_bind_service', 'net_raw', 'sys_chroot', 'mknod', 'audit_write'],
];

/**
 * Makes the image's file system in a folder, without a registry, with no more rights than a build of the Dockerfile has.
 * Rejects with what the script says.
 */
export async function buildImage(folder: string): Promise<void> {
  const bounds = ['-all', ...OF_A_BUILD.map((name) => `+${name}`)].join(',');
  await promisify(execFile)('setpriv', [`--bounding-set=${bounds}`, 'sh', BUILD, folder], { timeout: 180_000 });
}
