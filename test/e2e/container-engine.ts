import { execFile, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const BUILD = fileURLToPath(new URL('../../image/build-rootfs.sh', import.meta.url));
/** The profile that podman and CRI-O call the default, from a Debian package that is unpacked here. */
export const SECCOMP_FILE = fileURLToPath(
  new URL('../../.cache/container/usr/share/containers/seccomp.json', import.meta.url),
);

/** Why no container can run on this machine; undefined when one can. */
export function engineIsMissing(): string | undefined {
  if (process.getuid?.() !== 0) return 'needs root';
  if (spawnSync('crun', ['--version']).status !== 0) return 'no crun: apt-get install crun';
  return existsSync(SECCOMP_FILE) ? undefined : `no ${SECCOMP_FILE}: run it through npm test`;
}

/** Makes the image's file system in a folder, without a registry. Rejects with what the script says. */
export async function buildImage(folder: string): Promise<void> {
  await promisify(execFile)('sh', [BUILD, folder], { timeout: 180_000 });
}
