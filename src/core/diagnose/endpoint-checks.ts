import type { Pod } from '../pod.ts';
import type { Evidence } from './evidence.ts';
import type { Finding } from './finding.ts';
import { isPodReady, isProxied, podProblem, selectorText, type ServiceFacts } from './service-facts.ts';

/** A Service with no endpoint is certainly dead; nothing in a kernel could be a better explanation. */
const CERTAIN = 95;

type Draft = Omit<Finding, 'level' | 'subjects'>;

function finding({ subject }: ServiceFacts, draft: Draft): Finding {
  return { level: 'ControlPlane', subjects: [subject], ...draft };
}

const REFUSED = 'every connection to it is refused, on every node';

function endpointsCommand({ namespace, name }: ServiceFacts): string {
  return `kubectl get endpointslices -n ${namespace} -l kubernetes.io/service-name=${name} -o wide`;
}

/** Pods of the namespace that share the most labels with the selector. */
function nearestPods({ selector = {}, namespace }: ServiceFacts, pods: readonly Pod[]): string[] {
  const entries = Object.entries(selector);
  const near = pods
    .filter((pod) => (pod.metadata.namespace ?? '') === namespace)
    .map((pod) => {
      const labels = pod.metadata.labels ?? {};
      const same = entries.filter(([key, value]) => labels[key] === value).length;
      const keys = entries.filter(([key]) => labels[key] !== undefined).length;
      return { pod, score: same * 2 + keys };
    })
    .filter(({ score }) => score > 0)
    .sort((a, b) => b.score - a.score);
  return near.slice(0, 2).map(({ pod }) => {
    const labels = entries.map(([key]) => `${key}=${pod.metadata.labels?.[key] ?? '(absent)'}`).join(',');
    return `the nearest pod is ${pod.metadata.name} with ${labels}`;
  });
}

function noSelectorMatch(facts: ServiceFacts, evidence: Evidence): Finding {
  const selector = facts.selector ?? {};
  return finding(facts, {
    code: 'SelectorMatchesNothing',
    likelihood: CERTAIN + 2,
    summary: `its selector ${selectorText(selector)} matches no pod`,
    evidence: [
      `no pod in namespace ${facts.namespace} has ${selectorText(selector)}`,
      ...nearestPods(facts, evidence.pods ?? []),
    ],
    consequence: REFUSED,
    next: `kubectl get pods -n ${facts.namespace} --show-labels`,
  });
}

function podsNotReady(facts: ServiceFacts): Finding {
  const pods = facts.pods ?? [];
  const ill = pods.filter((pod) => !isPodReady(pod));
  const shown = (ill.length > 0 ? ill : pods).slice(0, 4).map((pod) => `pod ${pod.metadata.name} ${podProblem(pod)}`);
  const addresses = facts.endpoints.filter(({ isReady }) => !isReady).map(({ address }) => address);
  return finding(facts, {
    code: 'PodsNotReady',
    likelihood: CERTAIN + 1,
    summary: 'none of its pods is ready',
    evidence: [
      ...shown,
      ...(addresses.length > 0
        ? [`${addresses.length} endpoints are not ready: ${addresses.slice(0, 4).join(', ')}`]
        : []),
    ],
    consequence: REFUSED,
    next:
      pods[0] === undefined
        ? endpointsCommand(facts)
        : `kubectl describe pod -n ${facts.namespace} ${(ill[0] ?? pods[0]).metadata.name}`,
  });
}

function noSlices(facts: ServiceFacts): Finding {
  const isSelected = facts.selector !== undefined;
  const ready = (facts.pods ?? []).filter(isPodReady).length;
  return finding(facts, {
    code: isSelected ? 'EndpointSlicesMissing' : 'NoEndpoints',
    likelihood: CERTAIN,
    summary: isSelected ? 'its pods are in no EndpointSlice' : 'it has no endpoints',
    evidence: isSelected
      ? [
          `${facts.pods === undefined ? 'it has a selector' : `${ready} ready pods match its selector`}`,
          'no EndpointSlice of it has an endpoint',
        ]
      : ['it has no selector, and no EndpointSlice with the label kubernetes.io/service-name of it has an endpoint'],
    consequence: REFUSED,
    next: isSelected
      ? 'kubectl get events -A --field-selector reason=FailedToUpdateEndpointSlices; is kube-controller-manager running?'
      : endpointsCommand(facts),
  });
}

function withoutEndpoints(facts: ServiceFacts, evidence: Evidence): Finding {
  if (facts.selector === undefined) return facts.endpoints.length > 0 ? podsNotReady(facts) : noSlices(facts);
  if (facts.pods?.length === 0 && facts.endpoints.length === 0) return noSelectorMatch(facts, evidence);
  if (facts.endpoints.length > 0 || facts.pods?.some((pod) => !isPodReady(pod)) === true) return podsNotReady(facts);
  return noSlices(facts);
}

type Port = NonNullable<NonNullable<ServiceFacts['service']['spec']>['ports']>[number];

interface MissingPort {
  readonly what: string;
  readonly protocol: string;
  readonly targetPort: number | string | null | undefined;
}

function wrongTargetPort(facts: ServiceFacts, { what, targetPort }: MissingPort): Finding {
  const names = [...new Set((facts.pods ?? []).flatMap(containerPortNames))];
  return finding(facts, {
    code: 'WrongTargetPortName',
    likelihood: CERTAIN + 1,
    summary: `${what} leads to a container port named "${targetPort}", which its pods do not have`,
    evidence: [
      `spec.ports[].targetPort is "${targetPort}"`,
      facts.pods === undefined
        ? 'no EndpointSlice offers that port'
        : `the containers of its pods name: ${names.join(', ') || 'no port'}`,
    ],
    consequence: `every connection to ${what} is refused, on every node`,
    next: `kubectl get service -n ${facts.namespace} ${facts.name} -o jsonpath='{.spec.ports}'`,
  });
}

function portNotOffered(facts: ServiceFacts, { what, protocol }: MissingPort): Finding {
  const offered = facts.slices.flatMap(({ ports }) => ports ?? []);
  const have = offered.map((each) => `"${each.name ?? ''}"/${each.protocol ?? 'TCP'}`);
  return finding(facts, {
    code: 'PortNotInEndpointSlices',
    likelihood: CERTAIN - 1,
    summary: `no EndpointSlice offers its ${what}/${protocol}`,
    evidence: [
      `its EndpointSlices offer: ${[...new Set(have)].join(', ') || 'no port'}; names and protocols must be the same`,
    ],
    consequence: `every connection to ${what} is refused, on every node`,
    next: endpointsCommand(facts),
  });
}

/** Endpoints are there, but no slice offers this port: the data plane sees a port without endpoints. */
function missingPort(facts: ServiceFacts, { name: given, protocol: of, port, targetPort }: Port): Finding | undefined {
  const [name, protocol] = [given ?? '', of ?? 'TCP'];
  const isOffered = facts.slices
    .flatMap(({ ports }) => ports ?? [])
    .some((each) => (each.name ?? '') === name && (each.protocol ?? 'TCP') === protocol && Boolean(each.port));
  if (isOffered) return undefined;
  const what = name === '' ? `port ${port}` : `port "${name}" (${port})`;
  const isNamed = typeof targetPort === 'string' && /\D/.test(targetPort);
  return (isNamed ? wrongTargetPort : portNotOffered)(facts, { what, protocol, targetPort });
}

function containerPortNames({ spec }: Pod): string[] {
  return (spec?.containers ?? []).flatMap(({ ports }) => (ports ?? []).flatMap(({ name }) => name ?? []));
}

function onlyTerminating(facts: ServiceFacts): Finding | undefined {
  const usable = facts.endpoints.filter(({ isServing }) => isServing);
  if (usable.length === 0 || usable.some(({ isTerminating, isReady }) => isReady && !isTerminating)) return undefined;
  return finding(facts, {
    code: 'OnlyTerminatingEndpoints',
    likelihood: 85,
    summary: 'all pods that still serve it are terminating',
    evidence: usable.slice(0, 4).map(({ address }) => `endpoint ${address} is serving and terminating`),
    consequence: 'it works until they are gone; then every connection is refused',
    next: `kubectl get pods -n ${facts.namespace} -o wide`,
  });
}

/** The API server writes the slices of its own Service, unless it was told not to; nobody but it can mend that. */
function isOfAPIServer({ namespace, name, slices }: ServiceFacts): boolean {
  return namespace === 'default' && name === 'kubernetes' && slices.length === 0;
}

/** Endpoints, selectors, readiness, ports and their names. */
export function checkEndpoints(facts: ServiceFacts, evidence: Evidence): Finding[] {
  if (!isProxied(facts.service)) return [];
  if (evidence.subject === undefined && isOfAPIServer(facts)) return [];
  const serving = facts.endpoints.filter(
    ({ isReady, isServing, isTerminating }) => isReady || (isServing && isTerminating),
  );
  if (serving.length === 0) return [withoutEndpoints(facts, evidence)];
  const ports = (facts.service.spec?.ports ?? []).flatMap((port) => missingPort(facts, port) ?? []);
  if (ports.length > 0) return ports;
  const ending = onlyTerminating(facts);
  return ending === undefined ? [] : [ending];
}
