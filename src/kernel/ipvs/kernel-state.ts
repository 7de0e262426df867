import { familyOfText, type Family } from '../../core/ip.ts';
import { ownFrontends, type Observed, type ObservedRealServer } from '../../plan/ipvs/diff.ts';
import { frontendKey, type Frontend, type SetMember } from '../../plan/ipvs/objects.ts';
import { VIP_DEVICE } from '../../plan/kube-proxy/names.ts';
import type { AddressOperation, Operation, ServerOperation, SetOperation } from '../../plan/ipvs/operation.ts';
import { setDefinition, type SetDefinition } from '../../plan/ipvs/sets.ts';
import { IpsetClient } from '../ipset/client.ts';
import { RouteClient } from '../route/client.ts';
import { IpvsClient } from './client.ts';

/** What the plan depends on in the node itself. */
export interface NodeAddresses {
  /** All that the node has by itself, loopback included. */
  readonly local: readonly string[];
  /** What the node uses as source towards elsewhere, as far as it can tell. */
  readonly sources: Readonly<Record<Family, string | undefined>>;
}

/** Sets, virtual servers and bound addresses of one network namespace. All methods throw `KernelError`. */
export class IpvsKernel {
  readonly servers: IpvsClient;
  readonly sets: IpsetClient;
  readonly routes: RouteClient;

  readonly netns: string | undefined;

  constructor(netns: string | undefined, procSysDir?: string) {
    this.netns = netns;
    this.servers = new IpvsClient(netns);
    this.sets = new IpsetClient(netns);
    this.routes = new RouteClient(netns, procSysDir);
  }

  /** Everything of ours, and the real servers of what else is at the `wanted` frontends. */
  async observe(wanted: ReadonlySet<string>): Promise<Observed> {
    const sets = await this.#observeSets();
    const own = ownFrontends(sets);
    const servers = new Map((await this.servers.listServers()).map((server) => [frontendKey(server), server]));
    const realServers = new Map<string, readonly ObservedRealServer[]>();
    for (const [key, server] of servers) {
      if (own.has(key) || wanted.has(key)) realServers.set(key, await this.listRealServers(server));
    }
    const bound = await this.#observeBound();
    return { sets, servers, realServers, bound };
  }

  async listRealServers(server: Frontend): Promise<readonly ObservedRealServer[]> {
    const found = await this.servers.listRealServers(server);
    return found.map(({ activeConnections, inactiveConnections, ...realServer }) => ({
      ...realServer,
      isBusy: activeConnections + inactiveConnections > 0,
    }));
  }

  /** Whether these addresses are bound and shown, and no others are bound. */
  async hasBound(addresses: ReadonlySet<string>): Promise<boolean> {
    const bound = await this.#observeBound();
    const isWhole = [...addresses].every((address) => bound.get(address)?.isShown === true);
    return isWhole && bound.size === addresses.size;
  }

  /** A route without its address on the device is half the thing; what is wanted is done again then. */
  async #observeBound(): Promise<Observed['bound']> {
    const isShown = await this.routes.device.shows();
    const bound = await this.routes.listBound();
    return new Map(bound.map(({ address, source }) => [address, { source, isShown: isShown(address) }]));
  }

  async #observeSets(): Promise<Observed['sets']> {
    const definitions = (await this.sets.listSets()).filter(({ name }) => setDefinition(name) !== undefined);
    const sets = new Map<string, { readonly definition: SetDefinition; readonly members: readonly SetMember[] }>();
    for (const definition of definitions) {
      sets.set(definition.name, { definition, members: await this.sets.listMembers(definition.name) });
    }
    return sets;
  }

  /** The frontends that are ours, whether or not their virtual servers are still there. */
  async ownFrontends(): Promise<ReadonlySet<string>> {
    return ownFrontends(await this.#observeSets());
  }

  /**
   * Whether there is any set or bound address of ours. Virtual servers of ours are never without a set, nor are chains: the
   * kernel keeps a set while a rule names it.
   */
  async isPresent(): Promise<boolean> {
    const sets = await this.sets.listSets();
    return sets.some(({ name }) => setDefinition(name) !== undefined) || (await this.routes.listBound()).length > 0;
  }

  /** Does the operations in this order. After a failure some may have been done; all may be done again. */
  async apply(operations: readonly Operation[]): Promise<void> {
    for (let from = 0; from < operations.length;) {
      const client = this.#clientOf(operations[from]);
      let to = from + 1;
      while (to < operations.length && this.#clientOf(operations[to]) === client) to += 1;
      await this.#applyWith(client, operations.slice(from, to));
      from = to;
    }
  }

  #clientOf(operation: Operation | undefined): 'sets' | 'servers' | 'routes' {
    if (operation === undefined || 'set' in operation) return 'sets';
    return 'server' in operation ? 'servers' : 'routes';
  }

  #applyWith(client: 'sets' | 'servers' | 'routes', operations: readonly Operation[]): Promise<void> {
    switch (client) {
      case 'sets':
        return this.sets.apply(operations as readonly SetOperation[]);
      case 'servers':
        return this.servers.apply(operations as readonly ServerOperation[]);
      case 'routes':
        return this.routes.apply(operations as readonly AddressOperation[]);
    }
  }

  async nodeAddresses(): Promise<NodeAddresses> {
    const addresses = await this.routes.listAddresses();
    const local = addresses.filter(({ interfaceName }) => interfaceName !== VIP_DEVICE).map(({ address }) => address);
    return { local, sources: { IPv4: await this.#source('IPv4', local), IPv6: await this.#source('IPv6', local) } };
  }

  async #source(family: Family, local: readonly string[]): Promise<string | undefined> {
    const first = local.find((address) => familyOfText(address) === family && !isLoopback(address));
    const chosen = await this.routes.sourceTowardsElsewhere(family);
    return chosen !== undefined && local.includes(chosen) ? chosen : first;
  }

  close(): void {
    this.servers.close();
    this.sets.close();
    this.routes.close();
  }
}

/** Of this node alone: nobody else can reach it. */
export function isLoopback(address: string): boolean {
  return address === '::1' || address.startsWith('127.');
}
