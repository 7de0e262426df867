import { counted } from '../counted.ts';
import { LABEL_SERVICE_PROXY_NAME, LABEL_ZONE } from '../kubernetes.ts';
import type { Evidence } from './evidence.ts';
import type { Finding } from './finding.ts';
import { isProxied, type ServiceFacts } from './service-facts.ts';

type Draft = Omit<Finding, 'level' | 'subjects'>;

function finding({ subject }: ServiceFacts, draft: Draft): Finding {
  return { level: 'ControlPlane', subjects: [subject], ...draft };
}

function listed(names: readonly string[]): string {
  const shown = names.slice(0, 5).join(', ');
  return names.length > 5 ? `${shown} and ${names.length - 5} more` : shown;
}

/** Nodes that a proxy of ours serves and that have no usable endpoint of the Service. */
function nodesWithout(facts: ServiceFacts, { states }: Evidence): string[] {
  const usable = facts.endpoints.filter(({ isReady, isServing }) => isReady || isServing);
  const have = new Set(usable.map(({ node }) => node));
  return states
    .map(({ metadata }) => metadata.name)
    .filter((name) => !have.has(name))
    .sort();
}

function internalLocal(facts: ServiceFacts, evidence: Evidence): Finding[] {
  if (facts.service.spec?.internalTrafficPolicy !== 'Local') return [];
  const without = nodesWithout(facts, evidence);
  if (without.length === 0) return [];
  return [
    finding(facts, {
      code: 'InternalPolicyLocal',
      likelihood: 80,
      summary: `internalTrafficPolicy is Local, and ${without.length} nodes have no endpoint of it`,
      evidence: [`without an endpoint: ${listed(without)}`],
      consequence: 'connections from pods of these nodes to its ClusterIP are dropped without an answer',
      next: `kubectl patch service -n ${facts.namespace} ${facts.name} -p '{"spec":{"internalTrafficPolicy":"Cluster"}}', or run a pod of it on each node`,
    }),
  ];
}

/** A load balancer asks the health check port and leaves such nodes out; NodePorts have nobody who asks. */
function externalLocal(facts: ServiceFacts, evidence: Evidence): Finding[] {
  const { type, externalTrafficPolicy, externalIPs } = facts.service.spec ?? {};
  if (externalTrafficPolicy !== 'Local') return [];
  if (type !== 'NodePort' && (externalIPs ?? []).length === 0) return [];
  const without = nodesWithout(facts, evidence);
  if (without.length === 0) return [];
  return [
    finding(facts, {
      code: 'ExternalPolicyLocal',
      likelihood: evidence.subject === undefined ? 55 : 75,
      summary: `externalTrafficPolicy is Local, and ${without.length} nodes have no endpoint of it`,
      evidence: [`without an endpoint: ${listed(without)}`],
      consequence: 'connections from outside to its NodePort on these nodes are dropped without an answer',
      next: `kubectl get endpointslices -n ${facts.namespace} -l kubernetes.io/service-name=${facts.name} -o wide; send to nodes that have one`,
    }),
  ];
}

function hints(facts: ServiceFacts, { nodes }: Evidence): Finding[] {
  const ready = facts.endpoints.filter(({ isReady, isTerminating }) => isReady && !isTerminating);
  const hinted = ready.filter(({ zones }) => zones.length > 0);
  if (hinted.length === 0) return [];
  if (hinted.length < ready.length) {
    return [
      finding(facts, {
        code: 'HintsIncomplete',
        likelihood: 60,
        summary: 'some of its endpoints have no topology hint, so none is used',
        evidence: [`${ready.length - hinted.length} of ${ready.length} ready endpoints have no hint`],
        consequence: 'traffic goes to all zones, although the Service asks for the own one',
        next: `kubectl get endpointslices -n ${facts.namespace} -l kubernetes.io/service-name=${facts.name} -o yaml`,
      }),
    ];
  }
  return unevenZones(facts, hinted, nodes);
}

/** How much more one endpoint gets than another before it is worth a word. */
const UNEVEN = 3;

/** Nodes of a zone share the endpoints that are hinted to it: many nodes on few endpoints is an uneven load. */
function unevenZones(facts: ServiceFacts, hinted: ServiceFacts['endpoints'], nodes: Evidence['nodes']): Finding[] {
  const sizes = new Map<string, number>();
  for (const { metadata } of nodes ?? []) {
    const zone = metadata.labels?.[LABEL_ZONE];
    if (zone !== undefined) sizes.set(zone, (sizes.get(zone) ?? 0) + 1);
  }
  const loads = [...sizes].flatMap(([zone, size]) => {
    const endpoints = hinted.filter(({ zones }) => zones.includes(zone)).length;
    return endpoints === 0 ? [] : [{ zone, size, endpoints, load: size / endpoints }];
  });
  const [least, most] = [Math.min(...loads.map(({ load }) => load)), Math.max(...loads.map(({ load }) => load))];
  if (loads.length < 2 || most < least * UNEVEN) return [];
  return [
    finding(facts, {
      code: 'HintsUneven',
      likelihood: 65,
      summary: 'its topology hints spread the load unevenly',
      evidence: loads.map(
        ({ zone, size, endpoints }) => `zone ${zone}: ${counted(size, 'node')} for ${counted(endpoints, 'endpoint')}`,
      ),
      consequence: `some endpoints get about ${Math.round(most / least)} times the load of others`,
      next: `kubectl get endpointslices -n ${facts.namespace} -l kubernetes.io/service-name=${facts.name} -o yaml`,
    }),
  ];
}

/** Only where somebody asks about the Service: it is what they wanted, unless they wonder about the load. */
function affinity(facts: ServiceFacts, { subject }: Evidence): Finding[] {
  const { sessionAffinity, sessionAffinityConfig } = facts.service.spec ?? {};
  if (subject === undefined || sessionAffinity !== 'ClientIP' || facts.endpoints.length < 2) return [];
  const seconds = sessionAffinityConfig?.clientIP?.timeoutSeconds ?? 10_800;
  return [
    finding(facts, {
      code: 'SessionAffinity',
      likelihood: 20,
      summary: 'each client stays with one endpoint (sessionAffinity: ClientIP)',
      evidence: [`for ${seconds} seconds after its last connection; clients behind one address are one client`],
      consequence: 'the load follows the clients, not the connections: it may be uneven',
      next: `kubectl patch service -n ${facts.namespace} ${facts.name} -p '{"spec":{"sessionAffinity":"None"}}' if that is not wanted`,
    }),
  ];
}

const PENDING_AFTER_MS = 120_000;

function pendingLoadBalancer(facts: ServiceFacts, { nowMs, subject }: Evidence): Finding[] {
  const { service, namespace, name } = facts;
  if (service.spec?.type !== 'LoadBalancer') return [];
  const ingress = service.status?.loadBalancer?.ingress ?? [];
  const createdMs = Date.parse(service.metadata?.creationTimestamp ?? '');
  if (ingress.some(({ ip, hostname }) => Boolean(ip) || Boolean(hostname)) || nowMs - createdMs < PENDING_AFTER_MS)
    return [];
  return [
    finding(facts, {
      code: 'LoadBalancerPending',
      likelihood: subject === undefined ? 50 : 85,
      summary: 'no load balancer has given it an address',
      evidence: ['type is LoadBalancer and status.loadBalancer.ingress is empty'],
      consequence:
        'nodes have no rule for an address that does not exist; it can be reached by ClusterIP and NodePort only',
      next: `kubectl describe service -n ${namespace} ${name}; is a load balancer controller running?`,
    }),
  ];
}

/** What makes a Service none of ours; worth a word only to somebody who asks about it. */
function notOurs(facts: ServiceFacts): Finding[] {
  const { service, namespace, name } = facts;
  const label = service.metadata?.labels?.[LABEL_SERVICE_PROXY_NAME];
  if (label === undefined) return [];
  return [
    finding(facts, {
      code: 'ServedByAnotherProxy',
      likelihood: 90,
      summary: `it is left to the proxy "${label}"`,
      evidence: [`it has the label ${LABEL_SERVICE_PROXY_NAME}=${label}`],
      consequence: 'Switchyard has no rules for it',
      next: `kubectl label service -n ${namespace} ${name} ${LABEL_SERVICE_PROXY_NAME}- if that is not wanted`,
    }),
  ];
}

/** Policies, hints, affinity and addresses. */
export function checkPolicies(facts: ServiceFacts, evidence: Evidence): Finding[] {
  if (!isProxied(facts.service)) return evidence.subject === undefined ? [] : notOurs(facts);
  const isServed = facts.endpoints.some(({ isReady, isServing }) => isReady || isServing);
  if (!isServed) return pendingLoadBalancer(facts, evidence);
  return [
    ...internalLocal(facts, evidence),
    ...externalLocal(facts, evidence),
    ...hints(facts, evidence),
    ...affinity(facts, evidence),
    ...pendingLoadBalancer(facts, evidence),
  ];
}
