import { createHash } from 'node:crypto';
import {
  closeSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runCommand } from '../net/command.ts';
import { CpioWriter } from './cpio.ts';
import { BUSYBOX, COMMAND_FILE, INIT_FILE, PROJECT, SHELL } from './init-script.ts';
import { packageClosure } from './package-closure.ts';
import { nameWithoutTypes, readWithoutTypes } from './without-types.ts';
import { TOOL_PACKAGES, unpackPackages } from './packages.ts';
import { VmUnavailable } from './unavailable.ts';

const PROJECT_FOLDER = fileURLToPath(new URL('../../../', import.meta.url));
const CACHE = join(PROJECT_FOLDER, '.cache', 'vm');
/** Counts up when what the base holds changes, so that no old one is used. */
const RECIPE = 3;

/** For a disk: the file system is built in. */
const DISK_MODULES = ['drivers/virtio', 'drivers/block/virtio_blk.ko'];
/** Parts of the kernel's modules that a node without hardware can need. */
const MODULE_FOLDERS = [
  'net',
  'lib',
  'crypto',
  'arch/x86/crypto',
  'drivers/net/dummy.ko',
  'drivers/net/veth.ko',
  ...DISK_MODULES,
];
const LEFT_OUT = /^usr\/(?:share\/(?:doc|man|locale|lintian|bug|info)|lib\/x86_64-linux-gnu\/(?:gconv|perl))(?:\/|$)/;
/** Links that Debian makes when it installs iptables. */
const IPTABLES_PROGRAMS = ['iptables', 'ip6tables'].flatMap((tool) =>
  ['', '-save', '-restore'].map((action) => ({ tool, action })),
);

/** Entry points of what runs inside; the packages that only the API server or the tools need stay outside. */
const NPM_PACKAGES = ['koffi', 'ipaddr.js', 'zod', 'pino', 'prom-client', 'undici', 'yaml', 'commander', 'fast-check'];
/** `dist` where it was made: SWITCHYARD_MAIN says whether it is run. */
const PROJECT_PARTS = ['package.json', 'bin', 'src', 'test', 'crds', 'dist'];

/** What changes seldom: kernel, programs and Node. */
export interface BaseImage {
  readonly kernel: string;
  readonly archive: string;
}

/** Finds or makes the base in `.cache/vm`. Throws `VmUnavailable` where it cannot be made. */
export async function baseImage(): Promise<BaseImage> {
  if (process.arch !== 'x64') throw new VmUnavailable(`the virtual machine is made for amd64; this is ${process.arch}`);
  const recipe = JSON.stringify([RECIPE, TOOL_PACKAGES, MODULE_FOLDERS, process.version]);
  const name = createHash('sha256').update(recipe).digest('hex').slice(0, 12);
  const folder = join(CACHE, name);
  const image = { kernel: join(folder, 'vmlinuz'), archive: join(folder, 'base.cpio') };
  if (existsSync(image.archive)) return image;
  if (process.getuid?.() !== 0) throw new VmUnavailable('unpacking its packages needs root');
  mkdirSync(CACHE, { recursive: true });
  const scratch = mkdtempSync(join(CACHE, 'new-'));
  try {
    await unpackPackages(scratch);
    await buildBase(scratch);
    if (!existsSync(folder)) renameSync(join(scratch, 'image'), folder);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
  return image;
}

async function buildBase(scratch: string): Promise<void> {
  const root = join(scratch, 'root');
  const image = join(scratch, 'image');
  mkdirSync(image);
  const [release = ''] = readdirSync(join(root, 'lib/modules'));
  await runCommand(['chroot', root, 'depmod', release], { deadlineMs: 60_000 });
  copyFileSync(join(root, 'boot', `vmlinuz-${release}`), join(image, 'vmlinuz'));
  const modules = join('lib/modules', release);
  writeArchive(join(image, 'base.cpio'), (archive) => {
    const wants = (below: string) => !LEFT_OUT.test(below) && below !== 'boot' && below !== join(modules, 'kernel');
    archive.tree(root, '', { wants });
    for (const part of MODULE_FOLDERS) {
      const path = join(modules, 'kernel', part);
      archive.tree(join(root, path), path);
    }
    for (const { tool, action } of IPTABLES_PROGRAMS) archive.link(`usr/sbin/${tool}${action}`, `${tool}-nft${action}`);
    // In /bin on Debian 12, in /usr/bin later.
    const program = (name: string): Buffer => {
      const folder = existsSync(join(root, 'usr/bin', name)) ? 'usr/bin' : 'bin';
      return readFileSync(join(root, folder, name));
    };
    archive.file(BUSYBOX, program('busybox'), true);
    archive.file(SHELL, program('dash'), true);
    archive.file('usr/bin/node', readFileSync(process.execPath), true);
    archive.file('etc/hosts', '127.0.0.1 localhost\n::1 localhost\n');
    archive.file('etc/passwd', 'root:x:0:0:root:/root:/bin/sh\n');
  });
}

export interface Overlay {
  readonly init: string;
  readonly command: string;
}

/** The base with the project as it is now and what to run, in `folder`. Returns its path. */
export function composeImage(folder: string, base: BaseImage, overlay: Overlay): string {
  const path = join(folder, 'initramfs.cpio');
  copyFileSync(base.archive, path);
  writeArchive(path, (archive) => {
    archive.file(INIT_FILE, overlay.init, true);
    archive.file(COMMAND_FILE, overlay.command);
    const inside = PROJECT.slice(1);
    for (const part of PROJECT_PARTS.filter((name) => existsSync(join(PROJECT_FOLDER, name))))
      archive.tree(join(PROJECT_FOLDER, part), join(inside, part), {
        read: readWithoutTypes,
        rename: nameWithoutTypes,
      });
    // An optional package for another platform is not installed.
    const packages = packageClosure(PROJECT_FOLDER, NPM_PACKAGES).filter((name) =>
      existsSync(join(PROJECT_FOLDER, name)),
    );
    for (const name of packages) {
      archive.tree(join(PROJECT_FOLDER, name), join(inside, name), {
        wants: (below) => !below.startsWith('node_modules'),
      });
    }
    archive.link(join(inside, 'node_modules/node/bin/node'), '/usr/bin/node');
  });
  return path;
}

/** Appends an archive to the file at `path`, which is made when missing. */
function writeArchive(path: string, fill: (archive: CpioWriter) => void): void {
  const fd = openSync(path, 'a');
  try {
    const archive = new CpioWriter(fd);
    fill(archive);
    archive.end();
  } finally {
    closeSync(fd);
  }
}
