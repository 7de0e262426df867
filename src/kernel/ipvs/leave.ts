import { setTimeout as pause } from 'node:timers/promises';
import { FAMILIES } from '../../core/ip.ts';
import { frontendKey, type Frontend } from '../../plan/ipvs/objects.ts';
import type { Operation } from '../../plan/ipvs/operation.ts';
import { setsOf } from '../../plan/ipvs/sets.ts';
import type { IpvsChains } from './chains.ts';
import type { IpvsKernel } from './kernel-state.ts';

/**
 * Connections through IPVS exist only while their virtual server, their real server and the address are there. Beside
 * another mode's complete rules no new connection comes to IPVS, so those that there are can be waited for.
 */
export interface DrainOptions {
  /** Milliseconds after which connections that are left stop nevertheless; 0 waits for none. */
  readonly deadlineMs: number;
  /** Milliseconds between two looks. */
  readonly intervalMs?: number;
  /** Ends the waiting: then everything stays as it is, and `remove` throws the signal's reason. */
  readonly signal?: AbortSignal;
}

const LOOK_INTERVAL_MS = 1_000;

/**
 * Removes everything of ours: refusals first; then, when connections have ended or the deadline has passed, virtual
 * servers and addresses, then the masquerading, then the sets. Nothing there is success.
 */
export async function leaveIpvs(kernel: IpvsKernel, chains: IpvsChains, drain: DrainOptions): Promise<void> {
  await chains.removeRefusals();
  await drained(kernel, drain);
  const servers = await ownServers(kernel);
  await kernel.apply(servers.map((server): Operation => ({ kind: 'deleteServer', server })));
  const bound = await kernel.routes.listBound();
  await kernel.apply(bound.map(({ address }): Operation => ({ kind: 'unbindAddress', address })));
  await chains.remove();
  const names = new Set((await kernel.sets.listSets()).map(({ name }) => name));
  const own = FAMILIES.flatMap(setsOf).filter(({ name }) => names.has(name));
  await kernel.apply(own.map(({ name }): Operation => ({ kind: 'destroySet', set: name })));
}

async function ownServers(kernel: IpvsKernel): Promise<readonly Frontend[]> {
  const own = await kernel.ownFrontends();
  if (own.size === 0 || !(await kernel.servers.isAvailable())) return [];
  return (await kernel.servers.listServers()).filter((server) => own.has(frontendKey(server)));
}

async function drained(kernel: IpvsKernel, { deadlineMs, intervalMs, signal }: DrainOptions): Promise<void> {
  const deadline = performance.now() + deadlineMs;
  let waiting = deadlineMs > 0 ? await ownServers(kernel) : [];
  while (waiting.length > 0 && performance.now() < deadline) {
    const busy: Frontend[] = [];
    for (const server of waiting) if (await isBusy(kernel, server)) busy.push(server);
    waiting = busy;
    if (waiting.length > 0) await pause(intervalMs ?? LOOK_INTERVAL_MS, undefined, { signal });
  }
}

/** A TCP connection that has been closed is kept for a while, and needs nobody any more; UDP and SCTP have no such state. */
async function isBusy(kernel: IpvsKernel, server: Frontend): Promise<boolean> {
  const found = await kernel.servers.listRealServers(server);
  return found.some(
    ({ activeConnections, inactiveConnections }) =>
      activeConnections > 0 || (server.protocol !== 'TCP' && inactiveConnections > 0),
  );
}
