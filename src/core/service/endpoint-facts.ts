import type { Endpoint } from './endpoints.ts';
import type { Backend, EndpointFacts, Protocol, ServicePort } from './snapshot.ts';

const NO_BACKENDS: readonly Backend[] = [];
const NO_ADDRESSES: readonly string[] = [];

/** What is to be known of a ServicePort's endpoints beside where new connections go. Keeps the order of `endpoints`. */
export function endpointFacts(
  { protocol, healthCheckNodePort }: Pick<ServicePort, 'protocol' | 'healthCheckNodePort'>,
  endpoints: readonly Endpoint[],
  nodeName: string,
): EndpointFacts {
  return {
    flowBackends: flowBackends(protocol, endpoints, nodeName),
    readyLocalAddresses: healthCheckNodePort === 0 ? NO_ADDRESSES : readyLocalAddresses(endpoints, nodeName),
  };
}

function flowBackends(protocol: Protocol, endpoints: readonly Endpoint[], nodeName: string): readonly Backend[] {
  if (protocol === 'TCP') return NO_BACKENDS;
  return endpoints
    .filter(({ ready, serving }) => protocol === 'SCTP' || ready || serving)
    .map(({ address, port, nodeName: on }) => ({ address, port, isLocal: on === nodeName }));
}

/** A terminating endpoint does not count, though it may still serve: load balancers shall leave before it goes. */
function readyLocalAddresses(endpoints: readonly Endpoint[], nodeName: string): readonly string[] {
  const own = endpoints.filter(({ ready, nodeName: on }) => ready && on === nodeName);
  return [...new Set(own.map(({ address }) => address))];
}
