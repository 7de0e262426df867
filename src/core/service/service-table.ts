import { categorizeEndpoints } from './categorize.ts';
import { endpointFacts } from './endpoint-facts.ts';
import { FrontendClaims } from './frontend-claims.ts';
import { parseEndpointSlice, type ParsedEndpointSlice } from './endpoint-slice.ts';
import { mergeEndpoints } from './endpoints.ts';
import type { Family } from '../ip.ts';
import type { EndpointSlice, Node, ObjectMeta, Service } from '../kubernetes.ts';
import { equalNodeIdentities, parseNodeIdentity, UNKNOWN_NODE, type NodeIdentity } from '../node/node-identity.ts';
import { rangesWithOwnNode } from './load-balancer-ranges.ts';
import { ObjectStore } from '../object-store.ts';
import { equalServicePorts } from './service-port.ts';
import { referenceTo, type ReportedProblem } from './service-problems.ts';
import { parseService, type ParsedService } from './service.ts';

import type { DataplaneOptions, ServicePort, ServicePortChange, ServicePortKey, Snapshot } from './snapshot.ts';

export interface ServiceTableOptions {
  /** `metadata.name` of this agent's Node. */
  readonly nodeName: string;
  readonly dataplane: DataplaneOptions;
}

export interface Taken {
  readonly snapshot: Snapshot;
  /** Net difference to the previous `take`, in no particular order; empty when nothing that matters changed. */
  readonly changes: readonly ServicePortChange[];
  /** What could not be used in objects that arrived since the previous `take`; once, until it is something else. */
  readonly problems: readonly ReportedProblem[];
  /** What brought this about, as far as EndpointSlices say it. */
  readonly triggers: readonly Trigger[];
  readonly arrived: Arrived;
}

/** A Pod or Service changed, and an EndpointSlice with it. */
export interface Trigger {
  readonly family: Family;
  /** Wall clock of the control plane. */
  readonly atMs: number;
}

/** How many versions of objects, deletions included, came since the last `take`. */
export interface Arrived {
  readonly services: number;
  readonly endpointSlices: number;
}

/**
 * Turns the API objects that a node watches into ServicePorts. Events may come in any order and say the same thing twice;
 * the result depends only on the last version of each object. Nothing that an object contains makes a method throw, or
 * changes what other objects yield. `take` costs in proportion to what the events since the last one touched.
 */
export class ServiceTable {
  readonly #nodeName: string;
  #dataplane: DataplaneOptions;
  #node: NodeIdentity = UNKNOWN_NODE;
  readonly #services = new ObjectStore<ParsedService>('Service');
  readonly #slices = new ObjectStore<ParsedEndpointSlice>('EndpointSlice');
  /** Service -> names of its slices. */
  readonly #slicesOf = new Map<string, Set<string>>();
  readonly #servicePorts = new Map<ServicePortKey, ServicePort>();
  /** Service -> its keys in `#servicePorts`. */
  readonly #keysOf = new Map<string, readonly ServicePortKey[]>();
  readonly #touched = new Set<string>();
  readonly #claims = new FrontendClaims();
  #nodeProblems: readonly ReportedProblem[] = [];
  #triggers: Trigger[] = [];
  #arrived = { services: 0, endpointSlices: 0 };

  constructor(options: ServiceTableOptions) {
    this.#nodeName = options.nodeName;
    this.#dataplane = options.dataplane;
  }

  /** What the next `take` will say of it. */
  get arrived(): Arrived {
    return this.#arrived;
  }

  upsertService(service: Service): void {
    this.#arrived.services += 1;
    const key = this.#services.set(service.metadata, parseService(service));
    if (key !== undefined) this.#touchService(key);
  }

  /** Reads only the object's namespace and name. */
  deleteService(service: { readonly metadata?: ObjectMeta | null | undefined }): void {
    this.#arrived.services += 1;
    const key = this.#services.delete(service.metadata);
    if (key !== undefined) this.#touchService(key);
  }

  upsertEndpointSlice(slice: EndpointSlice): void {
    const key = this.#slices.keyOf(slice.metadata);
    const known = key === undefined ? undefined : this.#slices.get(key)?.triggerTimeMs;
    const parsed = parseEndpointSlice(slice);
    const { family, triggerTimeMs: atMs } = parsed;
    this.#arrived.endpointSlices += 1;
    if (atMs !== undefined && atMs !== known) this.#triggers.push({ family, atMs });
    this.#unlinkSlice(key);
    this.#linkSlice(this.#slices.set(slice.metadata, parsed));
  }

  /** Reads only the object's namespace and name. */
  deleteEndpointSlice(slice: { readonly metadata?: ObjectMeta | null | undefined }): void {
    this.#arrived.endpointSlices += 1;
    this.#unlinkSlice(this.#slices.keyOf(slice.metadata));
    this.#slices.delete(slice.metadata);
  }

  /** For a relist: afterwards the table knows these Services and no others. */
  replaceServices(services: readonly Service[]): void {
    this.#arrived.services += services.length;
    for (const key of this.#services.replace(services, parseService)) this.#touchService(key);
  }

  /** For a relist: afterwards the table knows these EndpointSlices and no others. */
  replaceEndpointSlices(slices: readonly EndpointSlice[]): void {
    this.#arrived.endpointSlices += slices.length;
    for (const key of this.#slices.keys()) this.#unlinkSlice(key);
    this.#slices.replace(slices, parseEndpointSlice);
    for (const key of this.#slices.keys()) this.#linkSlice(key);
  }

  /** This agent's Node: its zone decides between hinted endpoints, its addresses what load balancer source ranges say. */
  setNode(node: Node): void {
    const identity = parseNodeIdentity(node);
    if (JSON.stringify(identity.problems) !== JSON.stringify(this.#node.problems))
      this.#nodeProblems = identity.problems.map((problem) => ({
        ...problem,
        reference: referenceTo('Node', node.metadata),
      }));
    if (!equalNodeIdentities(identity, this.#node)) this.#touchAll();
    this.#node = identity;
  }

  /** Changes what every rule depends on: a data plane must `sync`, not `update`, with the snapshot that follows. */
  setDataplaneOptions(options: DataplaneOptions): void {
    this.#dataplane = options;
    this.#touchAll();
  }

  take(): Taken {
    const changes = [...this.#touched].flatMap((serviceKey) => this.#recompute(serviceKey));
    this.#touched.clear();
    const problems = [
      ...this.#services.takeProblems(),
      ...this.#slices.takeProblems(),
      ...this.#claims.takeProblems(),
      ...this.#nodeProblems,
    ];
    this.#nodeProblems = [];
    const [triggers, arrived] = [this.#triggers, this.#arrived];
    this.#triggers = [];
    this.#arrived = { services: 0, endpointSlices: 0 };
    const snapshot = { options: this.#dataplane, servicePorts: this.#servicePorts };
    return { snapshot, changes, problems, triggers, arrived };
  }

  /** This Service changed, and with it whoever asks for the same. */
  #touchService(key: string): void {
    const service = this.#services.get(key);
    const others = service === undefined ? this.#claims.remove(key) : this.#claims.put(key, service);
    for (const touched of [key, ...others]) this.#touched.add(touched);
  }

  #touchAll(): void {
    for (const key of this.#services.keys()) this.#touched.add(key);
  }

  #linkSlice(sliceKey: string | undefined): void {
    const serviceKey = this.#serviceOf(sliceKey);
    if (sliceKey === undefined || serviceKey === undefined) return;
    const siblings = this.#slicesOf.get(serviceKey);
    if (siblings === undefined) this.#slicesOf.set(serviceKey, new Set([sliceKey]));
    else siblings.add(sliceKey);
    this.#touched.add(serviceKey);
  }

  #unlinkSlice(sliceKey: string | undefined): void {
    const serviceKey = this.#serviceOf(sliceKey);
    if (sliceKey === undefined || serviceKey === undefined) return;
    const siblings = this.#slicesOf.get(serviceKey);
    siblings?.delete(sliceKey);
    if (siblings?.size === 0) this.#slicesOf.delete(serviceKey);
    this.#touched.add(serviceKey);
  }

  #serviceOf(sliceKey: string | undefined): string | undefined {
    if (sliceKey === undefined) return undefined;
    const serviceName = this.#slices.get(sliceKey)?.serviceName;
    return serviceName === undefined ? undefined : `${sliceKey.slice(0, sliceKey.indexOf('/'))}/${serviceName}`;
  }

  #recompute(serviceKey: string): ServicePortChange[] {
    const before = this.#keysOf.get(serviceKey) ?? [];
    const after = this.#servicePortsOf(serviceKey);
    const afterKeys = after.map((servicePort) => servicePort.key);
    if (afterKeys.length === 0) this.#keysOf.delete(serviceKey);
    else this.#keysOf.set(serviceKey, afterKeys);
    const gone = before.filter((key) => !afterKeys.includes(key)).flatMap((key) => this.#remove(key));
    return [...gone, ...after.flatMap((servicePort) => this.#put(servicePort))];
  }

  #remove(key: ServicePortKey): ServicePortChange[] {
    const before = this.#servicePorts.get(key);
    if (before === undefined) return [];
    this.#servicePorts.delete(key);
    return [{ key, before }];
  }

  #put(after: ServicePort): ServicePortChange[] {
    const { key } = after;
    const before = this.#servicePorts.get(key);
    if (before !== undefined && equalServicePorts(before, after)) return [];
    this.#servicePorts.set(key, after);
    return [before === undefined ? { key, after } : { key, before, after }];
  }

  #servicePortsOf(serviceKey: string): ServicePort[] {
    const specs = this.#claims.granted(serviceKey);
    const sliceKeys = [...(this.#slicesOf.get(serviceKey) ?? [])].sort();
    const slices = sliceKeys.flatMap((key) => this.#slices.get(key) ?? []);
    const place = { nodeName: this.#nodeName, zone: this.#node.zone };
    return specs
      .filter((spec) => this.#dataplane.families.includes(spec.family))
      .map((spec) => {
        const endpoints = mergeEndpoints(spec, slices);
        return {
          ...spec,
          loadBalancerSourceRanges: rangesWithOwnNode(spec, this.#node.addresses),
          ...categorizeEndpoints(spec, endpoints, place),
          ...endpointFacts(spec, endpoints, place.nodeName),
        };
      });
  }
}
