import type { EndpointSlice, Service } from './kubernetes.ts';
import { LABEL_SERVICE_NAME } from './kubernetes.ts';
import type { ClusterObjects } from './node/node-snapshot.ts';

/** What a flow is addressed to: a Service by name, or an address. */
export type FlowTarget =
  | { readonly namespace: string; readonly name: string }
  | { readonly address: string; readonly port: number };

function addressesOf({ spec, status }: Service): string[] {
  const given = [spec?.clusterIP, ...(spec?.clusterIPs ?? []), ...(spec?.externalIPs ?? [])];
  const ingress = (status?.loadBalancer?.ingress ?? []).map(({ ip }) => ip);
  return [...given, ...ingress].flatMap((address) => (address ? [address] : []));
}

function nodePortsOf({ spec }: Service): number[] {
  return (spec?.ports ?? []).flatMap(({ nodePort }) => (nodePort ? [nodePort] : []));
}

function isTarget(service: Service, target: FlowTarget): boolean {
  if ('name' in target) {
    return service.metadata?.namespace === target.namespace && service.metadata.name === target.name;
  }
  return addressesOf(service).includes(target.address) || nodePortsOf(service).includes(target.port);
}

/**
 * Those objects that rules for this flow can depend on: the Services that it may be addressed to, and those that claim one
 * of their addresses or node ports too. What such rules do is the same as among all objects.
 */
export function objectsAround(objects: ClusterObjects, target: FlowTarget): ClusterObjects {
  const wanted = objects.services.filter((service) => isTarget(service, target));
  const addresses = new Set(wanted.flatMap(addressesOf));
  const nodePorts = new Set(wanted.flatMap(nodePortsOf));
  const services = objects.services.filter(
    (service) =>
      wanted.includes(service) ||
      addressesOf(service).some((address) => addresses.has(address)) ||
      nodePortsOf(service).some((port) => nodePorts.has(port)),
  );
  const keys = new Set(services.map(({ metadata }) => `${metadata?.namespace}/${metadata?.name}`));
  const isOf = ({ metadata }: EndpointSlice): boolean =>
    keys.has(`${metadata?.namespace}/${metadata?.labels?.[LABEL_SERVICE_NAME]}`);
  return { ...objects, services, endpointSlices: objects.endpointSlices.filter(isOf) };
}
