import type { SetName } from './set-name.ts';
import type { Backend, Scheduler, ServicePort } from '../../core/service/snapshot.ts';
import { affinityElements } from './affinity.ts';
import { addressBytes, join, numberBytes, portBytes, protocolBytes } from './bytes.ts';
import type { Bytes } from './bytes.ts';
import { LOCAL_INDEX, MAX_ENDPOINTS } from './layout.ts';
import type { SetElement } from './objects.ts';
import { policyData } from './policy.ts';
import type { Policy, PolicyKind } from './policy.ts';
import { slotOwners } from './slots.ts';
import { sourceRangeElements } from './source-ranges.ts';

/** Everything that one ServicePort needs in the kernel. */
export interface ServiceElements {
  /** Belong to this ServicePort alone. */
  readonly elements: readonly SetElement[];
  /** Elements that other ServicePorts may need as well: there while anybody does. */
  readonly shared: readonly SetElement[];
  readonly policies: readonly Policy[];
}

/** A pure function of the ServicePort, so that an update costs what changed and no more. */
export function serviceElements(port: ServicePort): ServiceElements {
  const parts = [clusterIPElements(port)];
  for (const address of new Set([...port.externalIPs, ...port.loadBalancerVIPs])) {
    if (address === port.clusterIP) continue;
    const frontend = addressFrontend(port, address);
    parts.push(externalElements(port, frontend));
    parts.push({ elements: sourceRangeElements(port, address, frontend.key), policies: [] });
  }
  if (port.nodePort !== 0) parts.push(externalElements(port, nodePortFrontend(port)));
  return {
    elements: [...parts.flatMap(({ elements }) => elements), ...affinityElements(port)],
    shared: [{ set: 'cluster-ips', element: { key: join(addressBytes(port.clusterIP)) } }, ...hairpinElements(port)],
    policies: parts.flatMap(({ policies }) => policies),
  };
}

type Part = Omit<ServiceElements, 'shared'>;

/** Where a frontend's objects go: by address, protocol and port, or by protocol and port on any address of the node. */
interface Frontend {
  readonly key: Bytes;
  readonly sets: Readonly<Record<'policy' | 'localPolicy' | 'endpoints' | 'rejected' | 'dropped', SetName>>;
  readonly kinds: Readonly<Record<'cluster' | 'mixed' | 'local', PolicyKind>>;
}

function addressFrontend(port: ServicePort, address: string): Frontend {
  return {
    key: [...addressBytes(address), ...protocolBytes(port.protocol), ...portBytes(port.port)],
    sets: {
      policy: 'frontends',
      localPolicy: 'local-frontends',
      endpoints: 'endpoints',
      rejected: 'rejected',
      dropped: 'dropped',
    },
    kinds: { cluster: 'external', mixed: 'external-local', local: 'local' },
  };
}

function nodePortFrontend(port: ServicePort): Frontend {
  return {
    key: [...protocolBytes(port.protocol), ...portBytes(port.nodePort)],
    sets: {
      policy: 'node-ports',
      localPolicy: 'local-node-ports',
      endpoints: 'node-port-endpoints',
      rejected: 'rejected-node-ports',
      dropped: 'dropped-node-ports',
    },
    kinds: { cluster: 'node-port', mixed: 'node-port-external-local', local: 'node-port-local' },
  };
}

function clusterIPElements(port: ServicePort): Part {
  const { internalLocal } = port;
  const frontend = addressFrontend(port, port.clusterIP);
  const backends = choices(port, internalLocal ? port.localBackends : port.clusterBackends);
  if (backends.length === 0) return refusal(frontend, port);
  const policy = policyOf(port, internalLocal ? 'cluster-ip-local' : 'cluster-ip', backends);
  return {
    elements: [
      policyEntry(frontend, 'policy', policy),
      ...endpointEntries(frontend, backends, internalLocal ? LOCAL_INDEX : 0),
    ],
    policies: [policy],
  };
}

/** NodePorts, external IPs and load balancers' addresses. */
function externalElements(port: ServicePort, frontend: Frontend): Part {
  const { kinds } = frontend;
  const all = choices(port, port.clusterBackends);
  if (!port.externalLocal) {
    if (all.length === 0) return refusal(frontend, port);
    const policy = policyOf(port, kinds.cluster, all);
    return {
      elements: [policyEntry(frontend, 'policy', policy), ...endpointEntries(frontend, all, 0)],
      policies: [policy],
    };
  }
  const local = choices(port, port.localBackends);
  if (all.length + local.length === 0) return refusal(frontend, port);
  const mixed = policyOf(port, kinds.mixed, all);
  const entries = [policyEntry(frontend, 'policy', mixed), ...endpointEntries(frontend, all, 0)];
  if (local.length === 0) {
    // Pods and this node are translated before the filter hooks, which drop what reaches them as it came.
    const dropped: SetElement = { set: frontend.sets.dropped, element: { key: join(frontend.key) } };
    return { elements: [...entries, dropped], policies: [mixed] };
  }
  const policy = policyOf(port, kinds.local, local);
  return {
    elements: [
      ...entries,
      policyEntry(frontend, 'localPolicy', policy),
      ...endpointEntries(frontend, local, LOCAL_INDEX),
    ],
    policies: [mixed, policy],
  };
}

/** Who remembers its clients need not compute where they go. */
function schedulerOf({ scheduler, affinitySeconds }: ServicePort): Scheduler {
  return affinitySeconds === 0 ? scheduler : 'random';
}

/**
 * What the chain's number, random or hashed, chooses from. The count has 16 bits in a policy; a Service with more
 * endpoints uses the first 65,535 of them.
 */
function choices(port: ServicePort, backends: readonly Backend[]): readonly Backend[] {
  const usable = backends.length > MAX_ENDPOINTS ? backends.slice(0, MAX_ENDPOINTS) : backends;
  return schedulerOf(port) === 'random' ? usable : slotOwners(usable);
}

function policyOf(port: ServicePort, kind: PolicyKind, among: readonly Backend[]): Policy {
  return { kind, count: among.length, scheduler: schedulerOf(port), affinitySeconds: port.affinitySeconds };
}

/** Rejected when nobody serves it; dropped when only others do, so that a client's next try may go there. */
function refusal({ key, sets }: Frontend, { hasEndpoints }: ServicePort): Part {
  return {
    elements: [{ set: hasEndpoints ? sets.dropped : sets.rejected, element: { key: join(key) } }],
    policies: [],
  };
}

function policyEntry({ key, sets }: Frontend, set: 'policy' | 'localPolicy', policy: Policy): SetElement {
  return { set: sets[set], element: { key: join(key), data: policyData(policy) } };
}

function endpointEntries({ key, sets }: Frontend, backends: readonly Backend[], firstIndex: number): SetElement[] {
  return backends.map(({ address, port }, index) => ({
    set: sets.endpoints,
    element: {
      key: join(key, numberBytes(firstIndex + index)),
      data: join(addressBytes(address), portBytes(port)),
    },
  }));
}

/**
 * A pod that reaches itself through a Service would get an answer from an address it never spoke to. Pods of other nodes
 * come by this one unmasqueraded only where policy Local lets pods reach all endpoints.
 */
function hairpinElements({ clusterBackends, localBackends, externalLocal }: ServicePort): SetElement[] {
  const backends = [...clusterBackends, ...localBackends].filter(
    ({ isLocal, isPlaceless }) => isLocal || isPlaceless === true || externalLocal,
  );
  return [...new Set(backends.map(({ address }) => address))].map((address) => {
    const bytes = addressBytes(address);
    return { set: 'hairpin', element: { key: join(bytes, bytes) } };
  });
}
