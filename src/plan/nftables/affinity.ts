import type { SetName } from './set-name.ts';
import type { Backend, ServicePort } from '../../core/service/snapshot.ts';
import { addressBytes, join, numberBytes, portBytes, protocolBytes } from './bytes.ts';
import type { Bytes } from './bytes.ts';
import type { RuleContext } from './detector.ts';
import type { Expression, Word } from './expression.ts';
import { LOCAL_INDEX, MAX_ENDPOINTS } from './layout.ts';
import { loadAddress, loadDestinationPort, loadProtocol } from './load.ts';
import type { Rule, SetElement } from './objects.ts';

/**
 * Session affinity: which endpoint a client has is kept in one map for all Services, `affinity`, filled from the packet
 * path. A Service has one memory for all its ports to the world, so what is remembered goes by its identity (ClusterIP,
 * port, protocol), to which other frontends are translated first. An endpoint that goes leaves its clients' entries
 * behind; whether an entry may still be used is asked of `affinity-backends`, so no entry has to be looked for.
 *
 * The words of these rules, where `a` is an address (one word or four):
 *
 *     S saddr a | C ClusterIP a | D port | P protocol | A endpoint's address a | Q endpoint's port
 *
 * Several lookups feed each other. nft 1.0.6 aborts when it lists a rule that reads the first word that a lookup has
 * written (see `dispatchRule`); so each lookup's data begins with a word that is loaded afresh afterwards, and the words
 * behind it hold something of the same length before.
 */
export type FrontendKind = 'cluster-ip' | 'address' | 'node-port';

interface Words {
  readonly S: Word;
  readonly C: Word;
  readonly D: Word;
  readonly P: Word;
  readonly A: Word;
  readonly Q: Word;
  /** The word before C, where data and keys that are one word longer begin. */
  readonly beforeC: Word;
}

function wordsFor({ layout }: RuleContext): Words {
  const a = layout.addressWords;
  return { S: 0, C: a, D: 2 * a, P: 2 * a + 1, A: 2 * a + 2, Q: 3 * a + 2, beforeC: a - 1 };
}

/** Identity from C on, whichever frontend the packet was sent to. */
function loadIdentity(context: RuleContext, frontend: FrontendKind): Expression[] {
  const { C, D, P, beforeC } = wordsFor(context);
  const load = [loadAddress(context.layout, 'daddr', C), loadDestinationPort(D), loadProtocol(P)];
  switch (frontend) {
    case 'cluster-ip':
      return load;
    case 'address':
      return [...load, { kind: 'lookup', set: 'affinity-frontends', from: C, to: beforeC }];
    case 'node-port':
      return [...load, { kind: 'lookup', set: 'affinity-node-ports', from: D, to: beforeC }];
  }
}

export interface AffinityChoice {
  readonly frontend: FrontendKind;
  readonly modulus: number;
  /** 0 or LOCAL_INDEX */
  readonly offset: number;
  readonly timeoutSeconds: number;
}

/** To the endpoint that the client has, or to a new one that it then has. Packets pass where `affinity` is full. */
export function affinityRules(context: RuleContext, choice: AffinityChoice): Rule[] {
  const { layout } = context;
  const { S, C, P, A, Q, beforeC } = wordsFor(context);
  const identity = loadIdentity(context, choice.frontend);
  const client = loadAddress(layout, 'saddr', S);
  const placeholders = [loadAddress(layout, 'daddr', A), loadDestinationPort(Q)];
  const entry = { set: 'affinity', key: S, data: P } as const;
  const timeoutSeconds = choice.timeoutSeconds;
  const dnat: Expression = { kind: 'dnat', family: layout.table, address: A, port: Q };
  const backends: SetName = choice.offset === LOCAL_INDEX ? 'affinity-local-backends' : 'affinity-backends';
  return [
    {
      expressions: [
        ...identity,
        client,
        ...placeholders,
        { kind: 'lookup', set: 'affinity', from: S, to: P },
        loadProtocol(P),
        { kind: 'lookup', set: backends, from: C },
        { kind: 'dynset', operation: 'update', ...entry, timeoutSeconds },
        dnat,
      ],
      comment: 'to the endpoint in @affinity',
    },
    {
      expressions: [...identity, client, ...placeholders, { kind: 'dynset', operation: 'delete', ...entry }],
      comment: 'forget an endpoint that is gone',
    },
    {
      expressions: [
        ...identity,
        { kind: 'random', to: beforeC, modulus: choice.modulus, offset: choice.offset },
        ...placeholders,
        { kind: 'lookup', set: 'affinity-endpoints', from: beforeC, to: P },
        loadProtocol(P),
        client,
        { kind: 'dynset', operation: 'add', ...entry, timeoutSeconds },
        dnat,
      ],
      comment: 'to a random one of @affinity-endpoints',
    },
  ];
}

/** What a ServicePort with affinity needs beside its frontends and endpoints. */
export function affinityElements(port: ServicePort): SetElement[] {
  if (port.affinitySeconds === 0) return [];
  const identity = [...addressBytes(port.clusterIP), ...portBytes(port.port), ...protocolBytes(port.protocol)];
  const usesLocal = port.internalLocal || port.externalLocal;
  return [
    ...endpointElements(port, identity, port.clusterBackends, 0),
    ...(usesLocal ? endpointElements(port, identity, port.localBackends, LOCAL_INDEX) : []),
    ...translationElements(port),
  ];
}

function endpointElements(
  { protocol }: ServicePort,
  identity: Bytes,
  backends: readonly Backend[],
  firstIndex: number,
): SetElement[] {
  const members: SetName = firstIndex === LOCAL_INDEX ? 'affinity-local-backends' : 'affinity-backends';
  return backends.slice(0, MAX_ENDPOINTS).flatMap(({ address, port }, index): SetElement[] => {
    const endpoint = [...addressBytes(address), ...portBytes(port)];
    return [
      {
        set: 'affinity-endpoints',
        element: {
          key: join(numberBytes(firstIndex + index), identity),
          data: join(protocolBytes(protocol), endpoint),
        },
      },
      { set: members, element: { key: join(identity, endpoint) } },
    ];
  });
}

/** From the other frontends to the identity. */
function translationElements(port: ServicePort): SetElement[] {
  const data = join(numberBytes(0), addressBytes(port.clusterIP), portBytes(port.port));
  const protocol = protocolBytes(port.protocol);
  const addresses = new Set([...port.externalIPs, ...port.loadBalancerVIPs]);
  addresses.delete(port.clusterIP);
  const elements = [...addresses].map((address): SetElement => {
    const key = join(addressBytes(address), portBytes(port.port), protocol);
    return { set: 'affinity-frontends', element: { key, data } };
  });
  if (port.nodePort === 0) return elements;
  return [
    ...elements,
    { set: 'affinity-node-ports', element: { key: join(portBytes(port.nodePort), protocol), data } },
  ];
}
