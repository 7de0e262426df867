import { LABEL_HEADLESS, LABEL_SERVICE_NAME, LABEL_SERVICE_PROXY_NAME } from '../kubernetes.ts';
import type { EndpointSlice } from '../kubernetes.ts';
import type { Pod } from '../pod.ts';
import type { Evidence, EvidenceService } from './evidence.ts';

/** A Service with what belongs to it. */
export interface ServiceFacts {
  readonly service: EvidenceService;
  readonly namespace: string;
  readonly name: string;
  /** `service/shop/web` */
  readonly subject: string;
  readonly slices: readonly EndpointSlice[];
  readonly endpoints: readonly EndpointFacts[];
  readonly selector: Readonly<Record<string, string>> | undefined;
  /** Pods that the selector matches; undefined without a selector, or where pods cannot be read. */
  readonly pods: readonly Pod[] | undefined;
}

export interface EndpointFacts {
  readonly address: string;
  readonly node: string | undefined;
  readonly isReady: boolean;
  readonly isServing: boolean;
  readonly isTerminating: boolean;
  readonly zones: readonly string[];
}

type EndpointJson = NonNullable<EndpointSlice['endpoints']>[number];

function endpointFacts({ addresses, nodeName, conditions, hints }: EndpointJson): EndpointFacts {
  const isReady = conditions?.ready ?? true;
  return {
    address: addresses?.[0] ?? '',
    node: nodeName ?? undefined,
    isReady,
    isServing: conditions?.serving ?? isReady,
    isTerminating: conditions?.terminating ?? false,
    zones: (hints?.forZones ?? []).flatMap(({ name }) => name ?? []),
  };
}

export function matchesLabels(selector: Readonly<Record<string, string>>, pod: Pod): boolean {
  return Object.entries(selector).every(([key, value]) => pod.metadata.labels?.[key] === value);
}

export function selectorText(selector: Readonly<Record<string, string>>): string {
  return Object.entries(selector)
    .map(([key, value]) => `${key}=${value}`)
    .join(',');
}

/** Whether a Service proxy has anything to do with it. */
export function isProxied({ metadata, spec }: EvidenceService): boolean {
  if (spec?.type === 'ExternalName' || metadata?.labels?.[LABEL_SERVICE_PROXY_NAME] !== undefined) return false;
  const ip = spec?.clusterIP;
  return ip !== undefined && ip !== null && ip !== '' && ip !== 'None';
}

export function serviceFacts(evidence: Evidence): ServiceFacts[] {
  const byService = new Map<string, EndpointSlice[]>();
  for (const slice of evidence.endpointSlices) {
    const name = slice.metadata?.labels?.[LABEL_SERVICE_NAME];
    if (name === undefined || slice.metadata?.labels?.[LABEL_HEADLESS] !== undefined) continue;
    const key = `${slice.metadata?.namespace ?? ''}/${name}`;
    byService.set(key, [...(byService.get(key) ?? []), slice]);
  }
  const podsIn = groupPods(evidence.pods);
  return evidence.services.flatMap((service) => {
    const { namespace, name } = service.metadata ?? {};
    if (!namespace || !name || !isAsked(evidence, namespace, name)) return [];
    return [factsOf(service, byService.get(`${namespace}/${name}`) ?? [], podsIn && (podsIn.get(namespace) ?? []))];
  });
}

function factsOf(
  service: EvidenceService,
  slices: readonly EndpointSlice[],
  pods: readonly Pod[] | undefined,
): ServiceFacts {
  const { namespace, name } = service.metadata as { namespace: string; name: string };
  const given = service.spec?.selector ?? {};
  const selector = Object.keys(given).length === 0 ? undefined : given;
  return {
    service,
    namespace,
    name,
    subject: `service/${namespace}/${name}`,
    slices,
    endpoints: slices.flatMap((slice) => (slice.endpoints ?? []).map(endpointFacts)),
    selector,
    pods: selector && pods?.filter((pod) => matchesLabels(selector, pod)),
  };
}

function isAsked({ subject }: Evidence, namespace: string, name: string): boolean {
  return subject === undefined || (subject.namespace === namespace && subject.name === name);
}

function groupPods(pods: readonly Pod[] | undefined): Map<string, Pod[]> | undefined {
  if (pods === undefined) return undefined;
  const grouped = new Map<string, Pod[]>();
  for (const pod of pods) {
    const { namespace = '' } = pod.metadata;
    const known = grouped.get(namespace);
    if (known === undefined) grouped.set(namespace, [pod]);
    else known.push(pod);
  }
  return grouped;
}

export function isPodReady({ status }: Pod): boolean {
  return status?.conditions?.some(({ type, status: value }) => type === 'Ready' && value === 'True') === true;
}

type ContainerStatus = NonNullable<NonNullable<Pod['status']>['containerStatuses']>[number];

function waitingText({ name, state }: ContainerStatus): string {
  return `container ${name} waits: ${state?.waiting?.reason ?? 'no reason given'}`;
}

/** Why a pod is not ready, in a few words. */
export function podProblem({ metadata, status = {} }: Pod): string {
  if (metadata.deletionTimestamp !== undefined) return 'is terminating';
  const { containerStatuses = [], conditions = [], phase = 'without a status' } = status;
  const waiting = containerStatuses.find(({ state }) => state?.waiting !== undefined);
  if (waiting !== undefined) return waitingText(waiting);
  if (phase !== 'Running') return `is ${phase}`;
  const { reason, message } = conditions.find(({ type }) => type === 'Ready') ?? {};
  const why = [reason, message].filter((each) => each !== undefined && each !== '').join(': ');
  return why === '' ? 'is not Ready' : `is not Ready (${why})`;
}
