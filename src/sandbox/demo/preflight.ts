import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { UserError } from '../../support/errors.ts';

/** Programs that the testbed and the agents start, and the Debian package that brings each. */
const TOOLS = [
  { program: 'ip', debianPackage: 'iproute2' },
  { program: 'nft', debianPackage: 'nftables' },
  { program: 'iptables', debianPackage: 'iptables' },
  { program: 'iptables-restore', debianPackage: 'iptables' },
] as const;

function isOnPath(program: string): boolean {
  return (process.env['PATH'] ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** Throws `UserError`, one line with the next step, when this machine cannot run the demo. Changes nothing. */
export function checkMachine(): void {
  if (process.platform !== 'linux') throw new UserError('the demo needs Linux: it makes network namespaces');
  if (process.getuid?.() !== 0) {
    throw new UserError('the demo must run as root, because it makes network namespaces; run: sudo npm run demo');
  }
  const missing = TOOLS.filter(({ program }) => !isOnPath(program));
  if (missing.length === 0) return;
  const programs = missing.map(({ program }) => program).join(', ');
  const packages = [...new Set(missing.map(({ debianPackage }) => debianPackage))].join(' ');
  throw new UserError(`the demo needs ${programs}, which is not on PATH; run: apt-get install -y ${packages}`);
}
