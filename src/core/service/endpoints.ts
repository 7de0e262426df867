import type { ServicePortSpec } from './snapshot.ts';
import type { ParsedEndpointSlice, SliceEndpoint } from './endpoint-slice.ts';

/** An endpoint of one ServicePort, as its slices describe it. */
export interface Endpoint extends SliceEndpoint {
  readonly port: number;
}

/**
 * The endpoints of one ServicePort from all slices of its Service, sorted by address and port. An address and port that
 * is in several slices (it moves between them) is one endpoint; a copy that is not terminating wins, then one that is ready,
 * then the first slice: give the slices in a stable order.
 */
export function mergeEndpoints(
  servicePort: Pick<ServicePortSpec, 'family' | 'protocol' | 'portName'>,
  slices: Iterable<ParsedEndpointSlice>,
): readonly Endpoint[] {
  const merged = new Map<string, Endpoint>();
  for (const slice of slices) {
    if (slice.family !== servicePort.family) continue;
    for (const port of slice.ports) {
      if (port.name !== servicePort.portName || port.protocol !== servicePort.protocol) continue;
      for (const endpoint of slice.endpoints) {
        const identity = `${endpoint.address} ${port.port}`;
        const other = merged.get(identity);
        if (other !== undefined && rankOf(other) <= rankOf(endpoint)) continue;
        merged.set(identity, { ...endpoint, port: port.port });
      }
    }
  }
  return [...merged.values()].sort(compareEndpoints);
}

function rankOf({ terminating, ready }: SliceEndpoint): number {
  return (terminating ? 2 : 0) + (ready ? 0 : 1);
}

/** By address text, then port. */
export function compareEndpoints(
  a: { readonly address: string; readonly port: number },
  b: { readonly address: string; readonly port: number },
): number {
  if (a.address !== b.address) return a.address < b.address ? -1 : 1;
  return a.port - b.port;
}
