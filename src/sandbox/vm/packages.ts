import { existsSync, mkdirSync, readdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { runCommand, type CommandOptions } from '../net/command.ts';
import { SandboxError } from '../net/error.ts';
import { VmUnavailable } from './unavailable.ts';

/** The package whose dependency is the newest kernel for virtual machines. */
const KERNEL_PACKAGE = 'linux-image-cloud-amd64';

/** What the tests inside drive, and what Node links to. */
export const TOOL_PACKAGES = [
  'busybox-static',
  'dash',
  'kmod',
  'iproute2',
  'nftables',
  'iptables',
  'ipset',
  'ipvsadm',
  'conntrack',
  'e2fsprogs',
  'libstdc++6',
] as const;

const DOWNLOAD_DEADLINE_MS = 300_000;

/** Debian's kernel for virtual machines and the tools, unpacked below `folder`; nothing is installed on this machine. */
export async function unpackPackages(folder: string): Promise<void> {
  const names = [await kernelPackage(), ...(await toolPackages())];
  const archives = join(folder, 'archives');
  const root = join(folder, 'root');
  mkdirSync(archives, { recursive: true });
  mkdirSync(root);
  // As root apt would fetch as the user _apt, who cannot write here.
  const argv = ['apt-get', '-qq', '-o', 'APT::Sandbox::User=root', 'download', ...names];
  await run(['env', '-C', archives, ...argv], { deadlineMs: DOWNLOAD_DEADLINE_MS });
  for (const archive of readdirSync(archives)) await run(['dpkg', '-x', join(archives, archive), root]);
  mergeIntoUsr(root);
}

async function kernelPackage(): Promise<string> {
  const depends = ['apt-cache', 'depends', KERNEL_PACKAGE];
  const find = async (): Promise<string | undefined> =>
    /Depends: (linux-image-\S+)/.exec((await run(depends, { allowFailure: true })).stdout)?.[1];
  const known = await find();
  if (known !== undefined) return known;
  await run(['apt-get', 'update', '-qq'], { deadlineMs: DOWNLOAD_DEADLINE_MS, allowFailure: true });
  const found = await find();
  if (found === undefined) throw new VmUnavailable(`apt knows no package ${KERNEL_PACKAGE} (Debian's main has it)`);
  return found;
}

/** With everything they depend on, as if nothing were installed: the virtual machine has nothing. */
async function toolPackages(): Promise<string[]> {
  const argv = [
    'apt-get',
    'install',
    '--simulate',
    '--yes',
    '--no-install-recommends',
    '-o',
    'Dir::State::status=/dev/null',
  ];
  const { stdout } = await run([...argv, ...TOOL_PACKAGES]);
  return [...stdout.matchAll(/^Inst (\S+)/gm)].map(([, name = '']) => name);
}

/** Where all packages have moved to /usr, programs still name their loader in /lib64. */
function mergeIntoUsr(root: string): void {
  for (const name of ['bin', 'sbin', 'lib', 'lib64']) {
    const isOwn = existsSync(join(root, name));
    if (!isOwn && existsSync(join(root, 'usr', name))) symlinkSync(`usr/${name}`, join(root, name));
  }
}

async function run(argv: readonly string[], options: CommandOptions = {}): Promise<{ readonly stdout: string }> {
  try {
    return await runCommand(argv, { deadlineMs: 60_000, ...options });
  } catch (error) {
    if (error instanceof SandboxError) throw new VmUnavailable(`the packages cannot be had: ${error.message}`);
    throw error;
  }
}
