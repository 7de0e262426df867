import { setTimeout as delay } from 'node:timers/promises';
import type { NodeProxyState } from '../../core/api/node-proxy-state.ts';
import type { ProxyProfile } from '../../core/api/proxy-profile.ts';
import type { KubeClient } from '../../kube/client.ts';
import { Complaints } from '../../kube/complaints.ts';
import { runListWatch } from '../../kube/list-watch.ts';
import { systemClock } from '../../support/clock.ts';
import { UserError } from '../../support/errors.ts';
import { silentLog } from '../../support/log.ts';
import { NODE_PROXY_STATES_PATH, PROXY_PROFILES_PATH } from './objects.ts';
import { describeFailures } from './progress.ts';
import { PROFILE_NAME } from './story.ts';

interface Named {
  readonly metadata: { readonly name?: string | null | undefined };
}

/** The profile and the nodes' states as the API server's watches tell them. */
export class ClusterView {
  readonly #states = new Map<string, NodeProxyState>();
  readonly #profiles = new Map<string, ProxyProfile>();
  readonly #listeners = new Set<() => void>();

  /** Follows both kinds until `signal` aborts. */
  constructor(client: KubeClient, signal: AbortSignal) {
    const complaints = new Complaints({ server: client.server, clock: systemClock, log: silentLog });
    const follow = <T extends Named>(path: string, objects: Map<string, T>): void => {
      const nameOf = (object: T): string => object.metadata.name ?? '';
      const handler = {
        replace: (all: readonly T[]) => {
          objects.clear();
          for (const object of all) objects.set(nameOf(object), object);
          this.#tell();
        },
        upsert: (object: T) => {
          objects.set(nameOf(object), object);
          this.#tell();
        },
        remove: (object: T) => {
          objects.delete(nameOf(object));
          this.#tell();
        },
      };
      void runListWatch<T>({ client, path, selectors: {}, handler, clock: systemClock, complaints, signal });
    };
    follow<NodeProxyState>(NODE_PROXY_STATES_PATH, this.#states);
    follow<ProxyProfile>(PROXY_PROFILES_PATH, this.#profiles);
  }

  get states(): ReadonlyMap<string, NodeProxyState> {
    return this.#states;
  }

  get profile(): ProxyProfile | undefined {
    return this.#profiles.get(PROFILE_NAME);
  }

  onChange(listener: () => void): void {
    this.#listeners.add(listener);
  }

  /** Resolves when `holds`; throws `UserError` that says what did not come about, or the signal's reason. */
  async until(
    holds: () => boolean,
    limit: { readonly what: string; readonly deadlineMs: number; readonly signal: AbortSignal },
  ): Promise<void> {
    const settled = new AbortController();
    const reached = new Promise<void>((resolve) => {
      const check = (): void => {
        if (!holds()) return;
        this.#listeners.delete(check);
        resolve();
      };
      this.#listeners.add(check);
      settled.signal.addEventListener('abort', () => this.#listeners.delete(check));
      check();
    });
    const late = delay(limit.deadlineMs, undefined, { signal: AbortSignal.any([limit.signal, settled.signal]) });
    try {
      await Promise.race([
        reached,
        late.then(() => {
          const late = `${limit.what} did not come about in ${limit.deadlineMs / 1000} s`;
          throw new UserError([late, ...describeFailures(this.#states)].join('; '));
        }),
      ]);
    } catch (error) {
      limit.signal.throwIfAborted();
      throw error;
    } finally {
      settled.abort();
      late.catch(() => undefined);
    }
  }

  #tell(): void {
    for (const listener of [...this.#listeners]) listener();
  }
}
