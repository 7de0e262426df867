import { API_VERSION } from '../core/api/meta.ts';
import type { NodeProxyState } from '../core/api/node-proxy-state.ts';
import type { NodeEligibility } from '../core/node/health.ts';
import {
  LABEL_HEADLESS,
  LABEL_SERVICE_PROXY_NAME,
  type EndpointSlice,
  type Node,
  type Service,
} from '../core/kubernetes.ts';
import type { ServiceTable } from '../core/service/service-table.ts';
import type { KubeClient, Query } from '../kube/client.ts';
import { Complaints, type Trouble } from '../kube/complaints.ts';
import { runListWatch, type ListWatchHandler } from '../kube/list-watch.ts';
import type { Clock } from '../support/clock.ts';
import type { Log } from '../support/log.ts';

export const SERVICES_PATH = '/api/v1/services';
export const ENDPOINT_SLICES_PATH = '/apis/discovery.k8s.io/v1/endpointslices';
/** A server without them is good enough. */
const SERVICE_CIDRS_PATH = '/apis/networking.k8s.io/v1/servicecidrs';

export interface InputParts {
  readonly client: KubeClient;
  readonly nodeName: string;
  readonly table: ServiceTable;
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
  /** The own Node object changed. */
  readonly onNode: (node: Node) => void;
  /** All CIDRs that ClusterIPs are taken from. */
  readonly onServiceCIDRs: (cidrs: readonly string[]) => void;
  /** The table changed; called only once Services and EndpointSlices are both complete. */
  readonly onTableChange: () => void;
  /** A collection that could not be read is followed again. */
  readonly onReadAgain?: () => void;
}

interface NodeJson extends Node {
  readonly metadata?: Node['metadata'] & { readonly deletionTimestamp?: string };
  readonly spec?: { readonly taints?: readonly { readonly key: string }[] };
}

interface ServiceCIDRJson {
  readonly metadata?: { readonly name?: string };
  readonly spec?: { readonly cidrs?: readonly string[] };
}

/** What the agent watches, turned into calls on the ServiceTable in the order in which things happened. */
export class Inputs {
  readonly #parts: InputParts;
  readonly #pending = new Set(['services', 'endpointSlices', 'serviceCIDRs']);
  readonly #serviceCIDRs = new Map<string, readonly string[]>();
  #resolveSynced: () => void = () => undefined;
  /**
   * Resolves when Services and EndpointSlices have been listed once; nothing may be programmed before. ServiceCIDRs too, so
   * that a start does not write its rules twice, but a server without them is good enough.
   */
  readonly synced = new Promise<void>((resolve) => (this.#resolveSynced = resolve));
  #node: NodeEligibility = { isKnown: false, isBeingDeleted: false, taints: [] };

  readonly #complaints: Complaints;

  constructor(parts: InputParts) {
    this.#parts = parts;
    this.#complaints = new Complaints({ ...parts, server: parts.client.server, onEnd: () => parts.onReadAgain?.() });
  }

  get node(): NodeEligibility {
    return this.#node;
  }

  /** What must be read from the API server and cannot be now. */
  get troubles(): readonly Trouble[] {
    return this.#complaints.troubles.filter(({ path }) => path !== SERVICE_CIDRS_PATH);
  }

  start(): void {
    const { table, nodeName } = this.#parts;
    this.#watch<Service>(
      SERVICES_PATH,
      { labelSelector: `!${LABEL_SERVICE_PROXY_NAME}` },
      {
        replace: (services) => this.#change(() => table.replaceServices(services), 'services'),
        upsert: (service) => this.#change(() => table.upsertService(service)),
        remove: (service) => this.#change(() => table.deleteService(service)),
      },
    );
    this.#watch<EndpointSlice>(
      ENDPOINT_SLICES_PATH,
      { labelSelector: `!${LABEL_HEADLESS}` },
      {
        replace: (slices) => this.#change(() => table.replaceEndpointSlices(slices), 'endpointSlices'),
        upsert: (slice) => this.#change(() => table.upsertEndpointSlice(slice)),
        remove: (slice) => this.#change(() => table.deleteEndpointSlice(slice)),
      },
    );
    this.#watch<ServiceCIDRJson>(
      SERVICE_CIDRS_PATH,
      {},
      {
        unlisted: () => this.#change(() => undefined, 'serviceCIDRs'),
        replace: (all) => {
          this.#serviceCIDRs.clear();
          for (const each of all) this.#putServiceCIDR(each);
          this.#change(() => this.#tellServiceCIDRs(), 'serviceCIDRs');
        },
        upsert: (each) => {
          this.#putServiceCIDR(each);
          this.#tellServiceCIDRs();
        },
        remove: ({ metadata }) => {
          this.#serviceCIDRs.delete(metadata?.name ?? '');
          this.#tellServiceCIDRs();
        },
      },
    );
    this.#watch<NodeJson>(
      '/api/v1/nodes',
      { fieldSelector: `metadata.name=${nodeName}` },
      {
        replace: ([node]) => this.#setNode(node),
        upsert: (node) => this.#setNode(node),
        remove: () => this.#setNode(undefined),
      },
    );
  }

  /** Watches the NodeProxyState of this node; `undefined` when there is none. */
  watchNodeProxyState(onState: (state: NodeProxyState | undefined) => void): void {
    const { nodeName } = this.#parts;
    this.#watch<NodeProxyState>(
      `/apis/${API_VERSION}/nodeproxystates`,
      { fieldSelector: `metadata.name=${nodeName}` },
      {
        replace: ([state]) => onState(state),
        upsert: onState,
        remove: () => onState(undefined),
      },
    );
  }

  #watch<T>(path: string, selectors: Query, handler: ListWatchHandler<T>): void {
    const { client, clock, signal } = this.#parts;
    void runListWatch<T>({ client, path, selectors, handler, clock, complaints: this.#complaints, signal });
  }

  #putServiceCIDR({ metadata, spec }: ServiceCIDRJson): void {
    this.#serviceCIDRs.set(metadata?.name ?? '', spec?.cidrs ?? []);
  }

  #tellServiceCIDRs(): void {
    this.#parts.onServiceCIDRs([...this.#serviceCIDRs.values()].flat());
  }

  #change(apply: () => void, listed?: string): void {
    apply();
    if (listed !== undefined) this.#pending.delete(listed);
    if (this.#pending.size > 0) return;
    this.#resolveSynced();
    this.#parts.onTableChange();
  }

  #setNode(node: NodeJson | undefined): void {
    this.#node = {
      isKnown: node !== undefined,
      isBeingDeleted: Boolean(node?.metadata?.deletionTimestamp),
      taints: node?.spec?.taints?.map((taint) => taint.key) ?? [],
    };
    if (node === undefined) return;
    this.#parts.onNode(node);
    this.#change(() => this.#parts.table.setNode(node));
  }
}
