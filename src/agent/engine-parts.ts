import type { ImplementedMode } from '../core/mode.ts';
import type { ServicePorts } from '../core/service/snapshot.ts';
import type { RenderedConfig } from '../core/api/node-proxy-state.ts';
import type { Attempt, Serving } from '../core/node/mode-switch.ts';
import type { LeftoverSight } from '../core/node/leftovers.ts';
import type { ProbeOutcome } from '../core/node/probe-result.ts';
import type { NodeEvent } from '../core/node/node-events.ts';
import type { KubeProxyOnNode } from './switch/kube-proxy.ts';
import type { ReleasePolicy } from './release/node-release.ts';
import type { FollowerParts } from './services/service-follower.ts';
import type { StateFile } from './state-file.ts';
import type { SwitchGround } from './switch/switch-steps.ts';

/** What the engine does, for status, health and logs. */
export interface EngineView {
  readonly serving: Serving | null;
  readonly servingSinceMs: number;
  readonly attempt: Attempt | null;
  readonly lastSyncMs: number | null;
  readonly waitingSinceMs: number | null;
  readonly syncError: string | null;
  /** What the probes said last. */
  readonly probes: readonly ProbeOutcome[];
  /** What was seen last of the modes that do not serve; null before the first look. */
  readonly leftovers: LeftoverSight | null;
  /** The kernel holds Services of an earlier life, and nothing newer has been heard. */
  readonly isStale: boolean;
  /** Since when rules of an earlier life, of what serves, are known to stand without having been compared; wall clock. */
  readonly recalledAtMs: number | null;
  /** Null unless everything of ours is to be taken out of this node. */
  readonly release: { readonly isDone: boolean; readonly problem: string | null } | null;
  /** What of kube-proxy is waited for; null when nothing is. */
  readonly handoverNote: string | null;
}

export interface EngineParts extends FollowerParts {
  readonly missingFor: SwitchGround['missingFor'];
  readonly ensureAnchor: SwitchGround['ensureAnchor'];
  /** Modules and kernel settings. */
  readonly settings: EngineSettings;
  /** Takes everything of ours out of this node; returns what could not be. */
  readonly release: (policy: ReleasePolicy) => Promise<readonly string[]>;
  readonly kubeProxy: KubeProxyOnNode;
  /** Whether the ports of health and metrics are to be left to kube-proxy. */
  readonly yieldPorts: (isYielded: boolean) => void;
  /** An event on this node. */
  readonly say: (event: NodeEvent) => void;
  readonly probe: (config: RenderedConfig, servicePorts: () => ServicePorts) => Promise<readonly ProbeOutcome[]>;
  /** Whether connections of this mode outlive it at this moment. */
  readonly drains: (mode: ImplementedMode) => boolean;
  readonly stateFile: StateFile;
  /** A step of a switch was begun or ended, or the kernel began or ceased to take the rules. */
  readonly onTransition: () => void;
  /** What writes to the kernel does not end, and cannot be brought to an end: only a new process can go on. */
  readonly onStuck: () => void;
}

export interface EngineSettings {
  /** Brings the node to the settings of what serves, whatever of them works. */
  resume(config: RenderedConfig): Promise<void>;
  prepare: SwitchGround['prepare'];
  goBack: SwitchGround['unprepare'];
}
