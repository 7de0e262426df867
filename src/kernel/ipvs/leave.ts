import { FAMILIES } from '../../core/ip.ts';
import { frontendKey, type Frontend } from '../../plan/ipvs/objects.ts';
import type { Operation } from '../../plan/ipvs/operation.ts';
import { neededFrontends } from '../../plan/ipvs/connections.ts';
import { setsOf } from '../../plan/ipvs/sets.ts';
import type { IpvsChains } from './chains.ts';
import { listConnections } from './connections.ts';
import type { IpvsKernel } from './kernel-state.ts';
import { forgetFlows } from './stale-flows.ts';
import { stopListening } from './templates.ts';

/** What IPVS mode consists of in one network namespace. */
export interface IpvsParts {
  readonly netns: string | undefined;
  readonly kernel: IpvsKernel;
  readonly chains: IpvsChains;
}

/**
 * The first half of leaving: nothing is refused by us any more, and no new connection gets a real server. Beside another
 * mode's complete rules none comes here anyway; those that there are go on.
 */
export async function stopServing({ kernel, chains }: IpvsParts): Promise<void> {
  await chains.removeRefusals();
  const operations: Operation[] = [];
  for (const server of await ownServers(kernel)) {
    for (const { address, port, weight } of await kernel.servers.listRealServers(server)) {
      if (weight > 0) operations.push({ kind: 'retireRealServer', server, realServer: { address, port } });
    }
  }
  await kernel.apply(operations);
  await kernel.routes.device.leave();
}

/**
 * The second half: removes what is left, and with it the connections that are. Virtual servers and addresses go before the
 * masquerading, the sets last. Nothing there is success.
 */
export async function removeRest({ netns, kernel, chains }: IpvsParts): Promise<void> {
  const servers = await ownServers(kernel);
  if (servers.length > 0) await stopListening(kernel.servers);
  await kernel.apply(servers.map((server): Operation => ({ kind: 'deleteServer', server })));
  const bound = await kernel.routes.listBound();
  await kernel.apply(bound.map(({ address }): Operation => ({ kind: 'unbindAddress', address })));
  await kernel.routes.device.giveUp();
  await forgetFlows(servers, netns);
  await chains.remove();
  const names = new Set((await kernel.sets.listSets()).map(({ name }) => name));
  const own = FAMILIES.flatMap(setsOf).filter(({ name }) => names.has(name));
  await kernel.apply(own.map(({ name }): Operation => ({ kind: 'destroySet', set: name })));
}

/** The virtual servers of `among` (of all of ours without it) that still carry connections. */
export async function busyServers(kernel: IpvsKernel, among?: readonly Frontend[]): Promise<readonly Frontend[]> {
  const servers = among ?? (await ownServers(kernel));
  if (servers.length === 0) return [];
  const needed = neededFrontends(listConnections(kernel.netns));
  return servers.filter((server) => needed.has(frontendKey(server)));
}

async function ownServers(kernel: IpvsKernel): Promise<readonly Frontend[]> {
  const own = await kernel.ownFrontends();
  if (own.size === 0 || !(await kernel.servers.isAvailable())) return [];
  return (await kernel.servers.listServers()).filter((server) => own.has(frontendKey(server)));
}
