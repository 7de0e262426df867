import type { Family } from '../../core/ip.ts';
import type { ServicePort, ServicePortKey } from '../../core/service/snapshot.ts';
import { addressBytes, bytesKey, join, portBytes, protocolBytes } from './bytes.ts';
import type { Bytes } from './bytes.ts';
import { LAYOUTS, type FamilyLayout } from './layout.ts';
import { loadFrontend, loadNodePort, matchLocalDestination } from './load.ts';
import type { Expression } from './expression.ts';
import { rule, type BaseChain, type Element, type SetDefinition, type TableDefinition } from './objects.ts';
import { matchNew } from './skeleton.ts';

export const COUNTERS_NAME = 'switchyard-counters';

/**
 * After connection tracking (-200), before anybody looks at sources (-110) or translates: what is counted is what clients
 * address to the Service, refused or not, in whichever mode.
 */
const COUNTERS_PRIORITY = -120;

/** What is counted, by how the elements are keyed. */
export const COUNTER_SETS = ['packets', 'connections', 'node-port-packets', 'node-port-connections'] as const;
export type CounterSet = (typeof COUNTER_SETS)[number];

export interface CounterTable {
  readonly definition: TableDefinition;
  readonly elements: ReadonlyMap<string, ReadonlyMap<string, Element>>;
  /** Whose element it is, by set and key. */
  readonly owners: ReadonlyMap<CounterSet, ReadonlyMap<string, ServicePortKey>>;
}

/**
 * A table that counts what comes for these ServicePorts of one family, beside the rules of any mode: sets whose elements
 * have counters. The first packet of a connection counts twice, as packet and as connection.
 */
export function planCounters(family: Family, ports: readonly ServicePort[]): CounterTable {
  const layout = LAYOUTS[family];
  const elements = new Map<string, Map<string, Element>>(COUNTER_SETS.map((name) => [name, new Map()]));
  const owners = new Map<CounterSet, Map<string, ServicePortKey>>(COUNTER_SETS.map((name) => [name, new Map()]));
  const put = (set: CounterSet, port: ServicePort, parts: readonly Bytes[]): void => {
    const key = join(...parts);
    elements.get(set)?.set(bytesKey(key), { key });
    owners.get(set)?.set(bytesKey(key), port.key);
  };
  for (const port of ports.filter((each) => each.family === family)) {
    const protocol = protocolBytes(port.protocol);
    for (const address of [port.clusterIP, ...port.externalIPs, ...port.loadBalancerVIPs]) {
      const frontend = [addressBytes(address), protocol, portBytes(port.port)];
      put('packets', port, frontend);
      put('connections', port, frontend);
    }
    if (port.nodePort === 0) continue;
    put('node-port-packets', port, [protocol, portBytes(port.nodePort)]);
    put('node-port-connections', port, [protocol, portBytes(port.nodePort)]);
  }
  return { definition: definitionFor(layout), elements, owners };
}

function definitionFor(layout: FamilyLayout): TableDefinition {
  const base = (hook: 'prerouting' | 'output'): BaseChain => ({ type: 'filter', hook, priority: COUNTERS_PRIORITY });
  const count = (set: CounterSet): Expression => ({ kind: 'lookup', set, from: 0 });
  const rules = [
    rule(...loadFrontend(layout, 0), count('packets')),
    rule(...matchNew(), ...loadFrontend(layout, 0), count('connections')),
    rule(...matchLocalDestination(), ...loadNodePort(0), count('node-port-packets')),
    rule(...matchNew(), ...matchLocalDestination(), ...loadNodePort(0), count('node-port-connections')),
  ];
  const frontend: SetDefinition['key'] = [layout.addressPart, 'inet_proto', 'inet_service'];
  const nodePort: SetDefinition['key'] = ['inet_proto', 'inet_service'];
  const keyOf = (name: CounterSet) => (name.startsWith('node-port') ? nodePort : frontend);
  return {
    family: layout.table,
    name: COUNTERS_NAME,
    sets: COUNTER_SETS.map((name) => ({ name, key: keyOf(name), hasCounters: true })),
    chains: [
      { name: 'count-prerouting', base: base('prerouting'), rules },
      { name: 'count-output', base: base('output'), rules },
    ],
  };
}
