import type { Backend, ServicePort, ServicePortChange } from './snapshot.ts';

/** Same value in every field. */
export function equalServicePorts(a: ServicePort, b: ServicePort): boolean {
  if (a === b) return true;
  return (Object.keys(COMPARERS) as (keyof ServicePort)[]).every((field) => COMPARERS[field](a, b));
}

/** Fields that no rule is made of. */
const BESIDE_RULES: ReadonlySet<string> = new Set<keyof ServicePort>([
  'flowBackends',
  'readyLocalAddresses',
  'isCounted',
]);

/** Whether a data plane has anything to do for `change`. */
export function concernsRules({ before, after }: ServicePortChange): boolean {
  if (before === undefined || after === undefined) return true;
  const fields = Object.keys(COMPARERS) as (keyof ServicePort)[];
  return fields.some((field) => !BESIDE_RULES.has(field) && !COMPARERS[field](before, after));
}

type Comparer = (a: ServicePort, b: ServicePort) => boolean;

/** One entry per field of ServicePort, so that the compiler asks for it when a field is added. */
const COMPARERS: { readonly [field in keyof ServicePort]-?: Comparer } = {
  key: (a, b) => a.key === b.key,
  namespace: (a, b) => a.namespace === b.namespace,
  name: (a, b) => a.name === b.name,
  portName: (a, b) => a.portName === b.portName,
  family: (a, b) => a.family === b.family,
  protocol: (a, b) => a.protocol === b.protocol,
  port: (a, b) => a.port === b.port,
  clusterIP: (a, b) => a.clusterIP === b.clusterIP,
  nodePort: (a, b) => a.nodePort === b.nodePort,
  externalIPs: (a, b) => equalTexts(a.externalIPs, b.externalIPs),
  loadBalancerVIPs: (a, b) => equalTexts(a.loadBalancerVIPs, b.loadBalancerVIPs),
  loadBalancerSourceRanges: (a, b) => equalTexts(a.loadBalancerSourceRanges, b.loadBalancerSourceRanges),
  internalLocal: (a, b) => a.internalLocal === b.internalLocal,
  externalLocal: (a, b) => a.externalLocal === b.externalLocal,
  affinitySeconds: (a, b) => a.affinitySeconds === b.affinitySeconds,
  scheduler: (a, b) => a.scheduler === b.scheduler,
  ipvsScheduler: (a, b) => a.ipvsScheduler === b.ipvsScheduler,
  isCounted: (a, b) => (a.isCounted ?? false) === (b.isCounted ?? false),
  healthCheckNodePort: (a, b) => a.healthCheckNodePort === b.healthCheckNodePort,
  clusterBackends: (a, b) => equalBackends(a.clusterBackends, b.clusterBackends),
  localBackends: (a, b) => equalBackends(a.localBackends, b.localBackends),
  hasEndpoints: (a, b) => a.hasEndpoints === b.hasEndpoints,
  flowBackends: (a, b) => equalBackends(a.flowBackends, b.flowBackends),
  readyLocalAddresses: (a, b) => equalTexts(a.readyLocalAddresses, b.readyLocalAddresses),
};

function equalTexts(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((text, index) => text === b[index]);
}

function equalBackends(a: readonly Backend[], b: readonly Backend[]): boolean {
  return (
    a.length === b.length &&
    a.every((backend, index) => {
      const other = b[index];
      return (
        other !== undefined &&
        backend.address === other.address &&
        backend.port === other.port &&
        backend.isLocal === other.isLocal &&
        backend.isPlaceless === other.isPlaceless
      );
    })
  );
}

export const POLICIES = ['internal', 'external'] as const;
export type TrafficPolicy = (typeof POLICIES)[number];

/** Whether traffic under this policy is dropped here although the Service has endpoints elsewhere. */
export function lacksLocalEndpoints(port: ServicePort, policy: TrafficPolicy): boolean {
  const isLocal = policy === 'internal' ? port.internalLocal : port.externalLocal;
  return isLocal && port.hasEndpoints && port.localBackends.length === 0;
}
