import { AppsV1Api, CoreV1Api, PatchStrategy, setHeaderOptions, type KubeConfig } from '@kubernetes/client-node';
import {
  excludeLabelled,
  includeAgain,
  type DaemonSet,
  type JsonPatchOperation,
} from '../core/kube-proxy/daemonset.ts';
import type { ExcludedSet, HandoverPlan, LabelChange } from '../core/kube-proxy/handover.ts';
import type { HandoverFinding } from '../core/rollout/handover.ts';
import type { ApiError } from '../kube/error.ts';
import { Backoff } from '../support/backoff.ts';
import type { Clock } from '../support/clock.ts';
import type { Log } from '../support/log.ts';
import { toApiError } from './api-failure.ts';

export interface KeeperParts {
  readonly kubeConfig: KubeConfig;
  readonly clock: Clock;
  readonly log: Log;
  readonly onWrite: (kind: string, verb: string, error: ApiError | undefined) => void;
}

export interface KeeperResult {
  readonly failures: readonly ApiError[];
  /** In how many milliseconds it wants to look again; Infinity for never. */
  readonly restInMs: number;
}

/** What is in use is looked at this often, since the DaemonSets are not watched. */
const LOOK_MS = 30_000;
/** How long after a write of ours that somebody took back the next one waits, growing. */
const CONTEST = { firstMs: 60_000, maxMs: 3_600_000 };
/** Whoever takes ours back so many times wants it so. */
const CONTESTED_AFTER = 3;

/** What is known of one DaemonSet and one label. */
interface KnownSet {
  lookAtMs: number;
  /** Undefined as long as it has not been looked at. */
  exists: boolean | undefined;
  isExcluded: boolean;
  /** Times that somebody took our requirement away again. */
  takenBack: number;
  readonly contest: Backoff;
}

/**
 * Keeps kube-proxy's pods off nodes by a label and a node affinity, and puts both back. First the affinity, then the label,
 * and the other way round. The same again changes nothing; what somebody else changes back is tried again ever more rarely.
 */
export class KubeProxyKeeper {
  readonly #parts: KeeperParts;
  readonly #apps: AppsV1Api;
  readonly #core: CoreV1Api;
  readonly #known = new Map<string, KnownSet>();

  constructor(parts: KeeperParts) {
    this.#parts = parts;
    this.#apps = parts.kubeConfig.makeApiClient(AppsV1Api);
    this.#core = parts.kubeConfig.makeApiClient(CoreV1Api);
  }

  /** Stops between two writes when `signal` aborts. */
  async apply({ sets, labels }: HandoverPlan, signal: AbortSignal): Promise<KeeperResult> {
    const failures: ApiError[] = [];
    const run = async (work: () => Promise<ApiError | undefined>) => {
      const failure = signal.aborted ? undefined : await work();
      if (failure !== undefined) failures.push(failure);
    };
    const isAdding = (label: string) => labels.some((change) => change.label === label && change.present);
    for (const set of sets.filter(({ present }) => present)) await run(() => this.#keep(set, isAdding(set.label)));
    for (const change of labels) {
      // Without a DaemonSet that heeds it a label would only say something untrue.
      if (change.present && !this.#isHeeded(change.label, sets)) continue;
      await run(() => this.#label(change));
    }
    for (const set of sets.filter(({ present }) => !present)) await run(() => this.#giveBack(set));
    const used = sets.filter(({ present }) => present).map((set) => this.#of(set).lookAtMs);
    const nextMs = Math.min(Infinity, ...used) - this.#parts.clock.monotonicMs();
    return { failures, restInMs: Math.max(1_000, nextMs) };
  }

  /** What is to be said of the profiles, by name: only of those whose nodes kube-proxy is kept off, or should be. */
  findings({ sets, counts }: HandoverPlan): ReadonlyMap<string, HandoverFinding> {
    const findings = new Map<string, HandoverFinding>();
    for (const [profile, nodes] of counts) {
      const own = sets.filter(({ profiles }) => profiles.includes(profile));
      const known = own.map((set) => ({ ...set, ...this.#of(set) }));
      const missing = known.filter(({ exists }) => exists === false).map(nameOf);
      const contested = known.filter(({ takenBack }) => takenBack >= CONTESTED_AFTER).map(nameOf);
      if (known.length > 0 && missing.length === known.length)
        findings.set(profile, { kind: 'NoDaemonSet', names: missing });
      else if (contested.length > 0) findings.set(profile, { kind: 'Contested', names: contested });
      else if (known.every(({ exists, isExcluded }) => exists === false || isExcluded)) {
        findings.set(profile, { kind: 'Replaced', nodes });
      }
    }
    return findings;
  }

  #of({ namespace, name, label }: ExcludedSet): KnownSet {
    const key = `${namespace}/${name} ${label}`;
    const known = this.#known.get(key) ?? {
      lookAtMs: 0,
      exists: undefined,
      isExcluded: false,
      takenBack: 0,
      contest: new Backoff(CONTEST),
    };
    this.#known.set(key, known);
    return known;
  }

  #isHeeded(label: string, sets: readonly ExcludedSet[]): boolean {
    return sets.some((set) => set.label === label && this.#of(set).isExcluded);
  }

  async #keep(set: ExcludedSet, isUrgent: boolean): Promise<ApiError | undefined> {
    const { clock, log } = this.#parts;
    const known = this.#of(set);
    const nowMs = clock.monotonicMs();
    const isFirst = isUrgent && known.exists === undefined;
    if (nowMs < known.lookAtMs && !isFirst) return undefined;
    return this.#attempt('patch', set, async () => {
      const found = await this.#read(set, known);
      known.lookAtMs = nowMs + LOOK_MS;
      if (found === undefined) return;
      const patch = excludeLabelled(found, set.label);
      if (patch.length > 0 && known.isExcluded) {
        known.isExcluded = false;
        known.takenBack += 1;
        known.lookAtMs = nowMs + known.contest.nextMs();
        log.warn({ daemonSet: nameOf(set), times: known.takenBack }, 'somebody took the node affinity away again');
        if (known.takenBack > 1) return;
      }
      if (patch.length > 0) await this.#patch(set, patch, 'kube-proxy keeps off the nodes that we serve');
      known.isExcluded = true;
    });
  }

  async #giveBack(set: ExcludedSet): Promise<ApiError | undefined> {
    const known = this.#of(set);
    if (known.exists !== undefined && !known.isExcluded) return undefined;
    const failure = await this.#attempt('patch', set, async () => {
      const found = await this.#read(set, known);
      const patch = found === undefined ? [] : includeAgain(found, set.label);
      if (patch.length > 0) await this.#patch(set, patch, 'the DaemonSet is as it was');
      this.#known.delete(`${set.namespace}/${set.name} ${set.label}`);
      const { exists } = known;
      Object.assign(this.#of(set), { exists });
    });
    if (failure?.status !== 403) return failure;
    // Without the right to look there is nothing that we could have changed.
    known.exists = false;
    known.isExcluded = false;
    return undefined;
  }

  async #read({ namespace, name }: ExcludedSet, known: KnownSet): Promise<DaemonSet | undefined> {
    try {
      const found: unknown = await this.#apps.readNamespacedDaemonSet({ namespace, name });
      known.exists = true;
      return found as DaemonSet;
    } catch (caught) {
      if (toApiError('get', `DaemonSet ${name}`, caught).status !== 404) throw caught;
      known.exists = false;
      known.isExcluded = false;
      return undefined;
    }
  }

  async #patch(set: ExcludedSet, body: readonly JsonPatchOperation[], what: string): Promise<void> {
    const { namespace, name } = set;
    const options = setHeaderOptions('Content-Type', PatchStrategy.JsonPatch);
    await this.#apps.patchNamespacedDaemonSet({ namespace, name, body: [...body] }, options);
    this.#parts.log.info({ daemonSet: nameOf(set), label: set.label }, what);
  }

  #label({ node, label, present }: LabelChange): Promise<ApiError | undefined> {
    const body = { metadata: { labels: { [label]: present ? 'true' : null } } };
    return this.#attempt('label', { namespace: '', name: node, kind: 'Node' }, async () => {
      const options = setHeaderOptions('Content-Type', PatchStrategy.MergePatch);
      await this.#core.patchNode({ name: node, body }, options);
      const what = present ? 'kube-proxy is to leave the node' : 'kube-proxy is to come back to the node';
      this.#parts.log.info({ node, label }, what);
    });
  }

  async #attempt(
    verb: string,
    { name, kind = 'DaemonSet' }: { readonly namespace: string; readonly name: string; readonly kind?: string },
    work: () => Promise<void>,
  ): Promise<ApiError | undefined> {
    try {
      await work();
      this.#parts.onWrite(kind, verb, undefined);
      return undefined;
    } catch (caught) {
      const error = toApiError(verb, `${kind} ${name}`, caught);
      this.#parts.onWrite(kind, verb, error);
      return error;
    }
  }
}

function nameOf({ namespace, name }: Pick<ExcludedSet, 'namespace' | 'name'>): string {
  return `${namespace}/${name}`;
}
