import type { Registry } from 'prom-client';
import type { RenderedConfig } from '../core/api/node-proxy-state.ts';
import type { Preflight } from '../core/node/node-status.ts';
import { isGone } from '../core/kube-proxy/kube-proxy.ts';
import type { NodeEvent } from '../core/node/node-events.ts';
import { lacksFor, type OtherProxy } from '../core/node/preflight.ts';
import type { SettingsFacts } from '../core/node/settings-status.ts';
import { readConntrackStats } from '../kernel/conntrack-stats.ts';
import { kubeProxyOnNode, type KubeProxyOnNode } from './switch/kube-proxy.ts';
import { findOtherProxy } from '../kernel/other-proxy.ts';
import { sweepTraceTables } from '../kernel/nftables/trace-table.ts';
import type { Clock } from '../support/clock.ts';
import type { Log } from '../support/log.ts';
import { ConntrackWatch, type ConntrackLosses } from './settings/conntrack-watch.ts';
import { preflight } from './node-modes.ts';
import { openNodeKernel, type NodeKernel, type SettingsPlaces } from './node-parts.ts';
import { releaseNode, type ReleasePolicy } from './release/node-release.ts';
import type { NodeSettings } from './settings/node-settings.ts';
import { releaseGround } from './release/release-ground.ts';

const OTHER_PROXY_POLL_MS = 60_000;
const HIDDEN_RULES =
  'kube-proxy runs here and its rules are not found; they may be in iptables-legacy, which this agent may not read: give it ' +
  "the capability NET_RAW (the chart's agent.iptables: legacy)";

export interface NodeWatchParts {
  readonly places: SettingsPlaces;
  readonly registry: Registry;
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
  /** The status may say something else now. */
  readonly onChange: () => void;
  /** Somebody else changed a setting or unloaded a module. */
  readonly onDrift: (name: string) => void;
  readonly say: (event: NodeEvent) => void;
  /** kube-proxy does not run and has left something. */
  readonly onKubeProxyLeftovers: () => void;
}

/** Everything of a node that is not rules: its modules and settings, connection tracking, and other proxies. */
export class NodeWatch {
  readonly #parts: NodeWatchParts;
  readonly #kernel: NodeKernel;
  readonly #conntrack: ConntrackWatch;
  /** kube-proxy of this node; what is removed of it is looked for again. */
  readonly kubeProxy: KubeProxyOnNode;
  #otherProxy: OtherProxy | null = null;

  constructor(parts: NodeWatchParts) {
    this.#parts = parts;
    this.#kernel = openNodeKernel(parts.places, { ...parts, onDrift: (name) => this.#noteDrift(name) });
    const { sysctls, hasNftables } = this.#kernel;
    this.kubeProxy = this.#openKubeProxy(hasNftables);
    this.#conntrack = new ConntrackWatch({ ...parts, read: () => readConntrackStats((name) => sysctls.read(name)) });
  }

  #openKubeProxy(hasNftables: () => boolean): KubeProxyOnNode {
    const kubeProxy = kubeProxyOnNode(hasNftables);
    return {
      ...kubeProxy,
      findServing: async () => {
        const found = await kubeProxy.findServing();
        const { legacyTables, mayOpenRawSockets } = this.#kernel.findings();
        const mayBeHidden = found === undefined && legacyTables.length > 0 && !mayOpenRawSockets;
        if (mayBeHidden && !isGone(kubeProxy.sight())) throw new Error(HIDDEN_RULES);
        return found;
      },
      remove: async (serving) => {
        const report = await kubeProxy.remove(serving);
        if (report.removed > 0) void this.#lookForOthers();
        return report;
      },
    };
  }

  get settings(): NodeSettings {
    return this.#kernel.settings;
  }

  get facts(): SettingsFacts {
    return { ...this.settings.view, otherProxy: this.#otherProxy, conntrack: this.#conntrack.view };
  }

  /** What the node has now, before anything of ours looks at the kernel. */
  async remember(): Promise<void> {
    try {
      await this.settings.remember();
    } catch (error) {
      this.#parts.log.error({ problem: (error as Error).message }, 'cannot save what this node had before');
    }
  }

  /** Takes everything of ours out of this node; returns what could not be. `files` go last. */
  async release(policy: ReleasePolicy, files: readonly { remove(): void }[]): Promise<readonly string[]> {
    const { log, places, say } = this.#parts;
    const failures = await releaseNode(releaseGround(this.settings, places.stateDir, files, log), policy);
    if (failures.length > 0) return failures;
    log.info({ policy }, 'nothing of ours is left on this node');
    say({
      type: 'Normal',
      reason: 'OriginalsRestored',
      action: 'Release',
      note: 'rules, settings, modules and files of Switchyard were taken out of this node',
      about: String(this.#parts.clock.now()),
    });
    return [];
  }

  /** Resolves when everything has been looked at once; looks on until the signal aborts. */
  async start(): Promise<void> {
    void this.#sweepTrace();
    void this.settings.watch();
    void this.#conntrack.run();
    await this.#lookForOthers();
    void this.#watchOtherProxy();
  }

  /** What makes a kernel tell of packets must not outlive who listens; the kernel sees to that itself since 5.12. */
  async #sweepTrace(): Promise<void> {
    if (!this.#kernel.hasNftables()) return;
    try {
      await sweepTraceTables();
    } catch (error) {
      this.#parts.log.warn({ problem: (error as Error).message }, 'cannot remove the table of an earlier trace');
    }
  }

  conntrackLosses(): ConntrackLosses | undefined {
    return this.#conntrack.losses();
  }

  /** Looks now, and remembers it. */
  async lookForOtherProxy(): Promise<{ kind: string; running: boolean; traces: string[] } | null> {
    await this.#lookForOthers();
    const found = this.#otherProxy;
    return found && { kind: found.kind, running: found.isRunning, traces: [...found.traces] };
  }

  preflight(wanted: RenderedConfig): Preflight {
    return preflight(wanted, this.#kernel.findings());
  }

  /** What this node lacks to run `config`, each with what to do about it. */
  missingFor(config: RenderedConfig): Promise<readonly string[]> {
    return Promise.resolve(lacksFor(config, this.#kernel.findings()).map(({ message }) => message));
  }

  async #watchOtherProxy(): Promise<void> {
    const { clock, signal } = this.#parts;
    while (!signal.aborted) {
      await clock.sleep(OTHER_PROXY_POLL_MS, signal);
      if (!signal.aborted) await this.#lookForOthers();
    }
  }

  async #lookForOthers(): Promise<void> {
    const { onChange, onKubeProxyLeftovers } = this.#parts;
    const found = (await findOtherProxy({ hasNftables: this.#kernel.hasNftables() })) ?? null;
    const hasChanged = JSON.stringify(found) !== JSON.stringify(this.#otherProxy);
    const isNew = found?.isRunning === true && this.#otherProxy?.isRunning !== true;
    this.#otherProxy = found;
    if (isNew) this.#noteOtherProxy(found);
    if (!hasChanged) return;
    onChange();
    if (found?.isRunning === false && found.mode !== undefined) onKubeProxyLeftovers();
  }

  #noteOtherProxy({ kind, traces }: OtherProxy): void {
    const { log, say } = this.#parts;
    log.warn({ kind, traces }, 'another Service proxy runs on this node');
    say({
      type: 'Warning',
      reason: 'OtherProxyDetected',
      action: 'Preflight',
      note: `${kind} runs on this node beside Switchyard${traces.length === 0 ? '' : `: ${traces.join(', ')}`}`,
    });
  }

  #noteDrift(name: string): void {
    this.#parts.onDrift(name);
    this.#parts.say({
      type: 'Warning',
      reason: 'DriftDetected',
      action: 'Watch',
      note: `somebody else changed ${name}; see status.sysctls of the NodeProxyState`,
      about: String(this.#parts.clock.now()),
    });
  }
}
