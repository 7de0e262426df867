import { parseUnicast, FAMILIES, type Family } from '../ip.ts';
import {
  ANNOTATION_TRIGGER_TIME,
  LABEL_HEADLESS,
  LABEL_SERVICE_NAME,
  type EndpointJson,
  type EndpointSlice,
} from '../kubernetes.ts';
import { ProblemCollector, type Problem } from './service-problems.ts';
import type { Protocol } from './snapshot.ts';

/** One address of a slice, before ports and policies. */
export interface SliceEndpoint {
  readonly address: string;
  readonly nodeName: string | undefined;
  readonly ready: boolean;
  readonly serving: boolean;
  readonly terminating: boolean;
  readonly nodeHints: readonly string[];
  readonly zoneHints: readonly string[];
}

export interface SlicePort {
  readonly name: string;
  readonly protocol: Protocol;
  readonly port: number;
}

export interface ParsedEndpointSlice {
  /** Name of the Service in the slice's namespace; absent when the slice is not ours to serve. */
  readonly serviceName?: string;
  readonly family: Family;
  readonly endpoints: readonly SliceEndpoint[];
  readonly ports: readonly SlicePort[];
  /** When what made the slice change happened, wall clock of another machine. */
  readonly triggerTimeMs?: number;
  readonly problems: readonly Problem[];
}

const NOTHING: ParsedEndpointSlice = { family: 'IPv4', endpoints: [], ports: [], problems: [] };

/** Never throws: what cannot be used is left out and listed in `problems`. */
export function parseEndpointSlice(slice: EndpointSlice): ParsedEndpointSlice {
  const labels = slice.metadata?.labels ?? {};
  const serviceName = labels[LABEL_SERVICE_NAME];
  if (typeof serviceName !== 'string' || serviceName === '' || labels[LABEL_HEADLESS] !== undefined) return NOTHING;
  if (slice.addressType === 'FQDN') return NOTHING;

  const problems = new ProblemCollector('EndpointSlice', slice.metadata);
  const family = FAMILIES.find((known) => known === slice.addressType);
  if (family === undefined) {
    problems.add('addressType', `${JSON.stringify(slice.addressType ?? null)} is not one of ${FAMILIES.join(', ')}`);
    return { ...NOTHING, problems: problems.problems };
  }
  return {
    serviceName,
    family,
    endpoints: parseEndpoints(problems, family, slice),
    ports: parsePorts(problems, slice),
    ...triggerTime(slice.metadata?.annotations?.[ANNOTATION_TRIGGER_TIME]),
    problems: problems.problems,
  };
}

function triggerTime(text: unknown): Pick<ParsedEndpointSlice, 'triggerTimeMs'> {
  const triggerTimeMs = typeof text === 'string' ? Date.parse(text) : NaN;
  return Number.isNaN(triggerTimeMs) ? {} : { triggerTimeMs };
}

function parseEndpoints(problems: ProblemCollector, family: Family, slice: EndpointSlice): SliceEndpoint[] {
  return problems.objects('endpoints', slice.endpoints).flatMap(({ path, value }) => {
    // Only the first address: Kubernetes never defined what further ones mean (kubernetes/kubernetes#106267).
    const text = problems.strings(`${path}.addresses`, value.addresses)[0];
    if (text === undefined) return [];
    const address = problems.attempt(text.path, () => parseUnicast(text.value));
    if (address === undefined) return [];
    if (address.family !== family) {
      problems.add(text.path, `${address.text} is not an address of ${family}`);
      return [];
    }
    return [endpointOf(problems, path, value, address.text)];
  });
}

function endpointOf(problems: ProblemCollector, path: string, value: EndpointJson, address: string): SliceEndpoint {
  const { conditions, hints } = value;
  return {
    address,
    nodeName: typeof value.nodeName === 'string' ? value.nodeName : undefined,
    ready: conditions?.ready ?? true,
    serving: conditions?.serving ?? true,
    terminating: conditions?.terminating ?? false,
    nodeHints: names(problems, `${path}.hints.forNodes`, hints?.forNodes),
    zoneHints: names(problems, `${path}.hints.forZones`, hints?.forZones),
  };
}

const NO_NAMES: readonly string[] = [];

function names(
  problems: ProblemCollector,
  path: string,
  list: readonly { readonly name?: string | null | undefined }[] | null | undefined,
): readonly string[] {
  // One shared empty list: nearly all of a large cluster's endpoints have no hints.
  if (list === null || list === undefined || list.length === 0) return NO_NAMES;
  return problems.objects(path, list).flatMap(({ value }) => (typeof value.name === 'string' ? [value.name] : []));
}

function parsePorts(problems: ProblemCollector, slice: EndpointSlice): SlicePort[] {
  return problems.objects('ports', slice.ports).flatMap(({ path, value }) => {
    if (typeof value.name !== 'string') {
      problems.add(`${path}.name`, 'is missing; an unnamed port has the empty name ""');
      return [];
    }
    const protocol = problems.protocol(`${path}.protocol`, value.protocol);
    const port = problems.port(`${path}.port`, value.port);
    return protocol === undefined || port === undefined ? [] : [{ name: value.name, protocol, port }];
  });
}
