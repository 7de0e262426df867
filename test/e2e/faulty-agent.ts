import { appendFileSync } from 'node:fs';
import { KernelError } from '../../src/kernel/error.ts';
import { RecentLists } from '../../src/kernel/iptables/recent-lists.ts';
import { IptablesTool } from '../../src/kernel/iptables/tool.ts';
import { NetlinkConnection } from '../../src/kernel/netlink/connection.ts';
import { SysctlFolder } from '../../src/kernel/sysctl-folder.ts';

/**
 * The agent with a kernel that fails: `faulty-agent.ts PERCENT LOG agent ARGUMENT...`. Of every door through which the agent
 * writes to its kernel, that share of the writes fails: most are refused and change nothing; some are done and said to have
 * failed, as when a program is killed or an answer is lost. The log gets a line for each write.
 */
const [, , percent = '0', log = '/dev/null', ...args] = process.argv;
const SHARE = Number(percent) / 100;
/** Where all fail, all are refused. */
const UNHEARD_SHARE = SHARE < 1 ? 0.3 : 0;

type Fate = 'done' | 'refused' | 'unheard';

function fateOf(what: string): Fate {
  const failing: Fate = Math.random() < UNHEARD_SHARE ? 'unheard' : 'refused';
  const fate = Math.random() < SHARE ? failing : 'done';
  appendFileSync(log, `${fate} ${what}\n`);
  return fate;
}

function failure(what: string, fate: Fate): KernelError {
  const detail = fate === 'refused' ? 'injected before it was done' : 'injected after it was done';
  return new KernelError({ operation: 'write', object: what, errno: 'ENOBUFS', retryable: true, detail });
}

/** One write, or the failure that is its fate. */
async function suffer<T>(what: string, write: () => Promise<T>): Promise<T> {
  const fate = fateOf(what);
  if (fate === 'refused') throw failure(what, fate);
  const result = await write();
  if (fate === 'unheard') throw failure(what, fate);
  return result;
}

function sufferNow<T>(what: string, write: () => T): T {
  const fate = fateOf(what);
  if (fate === 'refused') throw failure(what, fate);
  const result = write();
  if (fate === 'unheard') throw failure(what, fate);
  return result;
}

/** Replaces a method of a class by one that gets the old one. */
function wrap<Class extends object, Name extends keyof Class>(
  prototype: Class,
  name: Name,
  replace: (original: Class[Name]) => Class[Name],
): void {
  prototype[name] = replace(prototype[name]);
}

wrap(NetlinkConnection.prototype, 'exchange', (exchange) => {
  return function (this: NetlinkConnection, datagram) {
    return suffer('netlink', () => exchange.call(this, datagram));
  };
});
wrap(IptablesTool.prototype, 'restore', (restore) => {
  return function (this: IptablesTool, family, input) {
    if (input === '') return Promise.resolve();
    return suffer(`iptables-restore ${family}`, () => restore.call(this, family, input));
  };
});
wrap(RecentLists.prototype, 'change', (change) => {
  return function (this: RecentLists, name, added, removed) {
    return sufferNow('recent list', () => change.call(this, name, added, removed));
  };
});
wrap(SysctlFolder.prototype, 'write', (write) => {
  return function (this: SysctlFolder, name, value) {
    sufferNow(`sysctl ${name}`, () => write.call(this, name, value));
  };
});

process.argv.splice(2, Infinity, ...args);
await import('../../src/cli/main.ts');
