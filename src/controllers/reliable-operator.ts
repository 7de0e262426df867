import operatorModule, { type OperatorLogger, type ResourceEvent } from '@dot-i/k8s-operator';
import { CoreV1Api } from '@kubernetes/client-node';
import { Backoff } from '../support/backoff.ts';
import type { Clock } from '../support/clock.ts';
import { UserError } from '../support/errors.ts';
import type { Log } from '../support/log.ts';
import { FailureLog, toApiError } from './api-failure.ts';
import { serverOf, type PooledKubeConfig } from './kube-config.ts';
import { ObjectCache, type CachedObject } from './object-cache.ts';
import { ResourceRequests } from './resource-requests.ts';
import { catchUp, runResourceWatch, type ResourceWatchOptions, type WatchPhase } from './resource-watch.ts';

const { default: Operator, ResourceEventType, ResourceMetaImpl } = operatorModule;

const PHASES = {
  ADDED: ResourceEventType.Added,
  MODIFIED: ResourceEventType.Modified,
  DELETED: ResourceEventType.Deleted,
} as const satisfies Record<WatchPhase, ResourceEvent['type']>;

function operatorLogger(log: Log): OperatorLogger {
  return {
    debug: (message) => log.debug({ message }, 'operator'),
    info: (message) => log.info({ message }, 'operator'),
    warn: (message) => log.warn({ message }, 'operator'),
    error: (message) => log.error({ message }, 'operator'),
  };
}

export interface OperatorParts {
  readonly kubeConfig: PooledKubeConfig;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * The operator of @dot-i/k8s-operator, mended for client-node 2 and for outages: it takes the kubeconfig it is given,
 * begins with a list, keeps a cache, survives every failure of a watch (the original ends the process), and never lets
 * one event wait for another.
 */
export abstract class ReliableOperator extends Operator {
  readonly #parts: OperatorParts;
  readonly #stopped = new AbortController();
  readonly #caches = new Map<string, ObjectCache<CachedObject>>();
  readonly #watches: Promise<void>[] = [];
  readonly #watched: ResourceWatchOptions<CachedObject>[] = [];
  protected readonly failures: FailureLog;

  constructor(parts: OperatorParts) {
    super(operatorLogger(parts.log));
    this.#parts = parts;
    this.kubeConfig = parts.kubeConfig;
    this.k8sApi = parts.kubeConfig.makeApiClient(CoreV1Api);
    this.failures = new FailureLog(parts.log, parts.clock, serverOf(parts.kubeConfig));
  }

  /** Aborts when the operator is to end. */
  protected get stopped(): AbortSignal {
    return this.#stopped.signal;
  }

  override stop(): void {
    this.#stopped.abort();
  }

  /** Resolves when, after `stop`, no watch is left. */
  async ended(): Promise<void> {
    await Promise.all(this.#watches);
  }

  /** Work that is under way until `stop`. */
  protected track(work: Promise<void>): void {
    this.#watches.push(work);
  }

  /** The objects of a watched resource; `plural.group`, or `plural` alone for the core group. */
  protected cacheOf<T extends CachedObject>(id: string): ObjectCache<T> {
    const cache = this.#caches.get(id) ?? new ObjectCache<CachedObject>();
    this.#caches.set(id, cache);
    return cache as unknown as ObjectCache<T>;
  }

  /** What the cache keeps of an object; override it to keep less. */
  protected trim(_id: string, object: CachedObject): CachedObject {
    return object;
  }

  /** Of this resource something came from the API server, be it that nothing changed; or nothing can be read. */
  protected heard(_id: string, _isSign: boolean): void {}

  /** The objects of a list carry no kind of their own in every group. */
  #reader(id: string, apiVersion: string, kind: string) {
    return (raw: unknown): CachedObject =>
      this.trim(id, { apiVersion, kind, ...(raw as Partial<CachedObject>) } as CachedObject);
  }

  protected override getCustomResourceApiUri(
    group: string,
    version: string,
    plural: string,
    namespace?: string,
  ): string {
    return serverOf(this.kubeConfig) + resourcePath({ group, version, plural, namespace });
  }

  /** The definitions are installed with the product, by somebody who may: the controller has no rights to do so. */
  protected override registerCustomResourceDefinition(crdFile: string): Promise<never> {
    return Promise.reject(new UserError(`install the CustomResourceDefinition: kubectl apply -f ${crdFile}`));
  }

  /** Of all namespaces. Resolves after the first list, however long that takes to come; watches on until `stop`. */
  protected override async watchResource(
    group: string,
    version: string,
    plural: string,
    onEvent: (event: ResourceEvent) => Promise<void>,
  ): Promise<void> {
    const id = group === '' ? plural : `${plural}.${group}`;
    const listed = Promise.withResolvers<void>();
    this.stopped.addEventListener('abort', () => listed.resolve());
    const { kubeConfig, clock, log } = this.#parts;
    const options = {
      requests: new ResourceRequests(kubeConfig),
      id,
      path: resourcePath({ group, version, plural }),
      read: this.#reader(id, group === '' ? version : `${group}/${version}`, plural),
      cache: this.cacheOf(id),
      onEvent: (phase: WatchPhase, object: CachedObject) => {
        const meta = ResourceMetaImpl.createWithPlural(plural, object as never);
        onEvent({ meta, type: PHASES[phase], object: object as never }).catch((error: unknown) => {
          log.error({ id, problem: (error as Error).message }, 'an event could not be handled');
        });
      },
      onListed: () => listed.resolve(),
      onSign: () => this.heard(id, true),
      onFailure: () => this.heard(id, false),
      clock,
      failures: this.failures,
    };
    this.#watched.push(options);
    this.#watches.push(runResourceWatch(options, this.stopped));
    await listed.promise;
  }

  /** Resolves when all caches are at least as new as this call, or when `signal` aborts. */
  protected async catchUp(signal: AbortSignal): Promise<void> {
    const backoff = new Backoff({ firstMs: 250, maxMs: 5_000 });
    for (const options of this.#watched) {
      let isDone = false;
      while (!isDone && !signal.aborted) {
        isDone = await catchUp(options).then(
          () => true,
          (error: unknown) => {
            this.failures.report(toApiError('list', options.id, error));
            return false;
          },
        );
        if (!isDone) await this.#parts.clock.sleep(backoff.nextMs(), signal);
      }
    }
  }
}

interface ResourceName {
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  readonly namespace?: string | undefined;
}

function resourcePath({ group, version, plural, namespace }: ResourceName): string {
  const base = group === '' ? `/api/${version}` : `/apis/${group}/${version}`;
  return `${base}/${namespace === undefined ? '' : `namespaces/${namespace}/`}${plural}`;
}
