import type { ObjectMeta } from '../api/meta.ts';
import type { NodeProxyState, RenderedConfig } from '../api/node-proxy-state.ts';
import type { BuiltinGate } from '../api/rollout-spec.ts';

/** The fields of a core/v1 Node that decide about its rollout. */
export interface RolloutNode {
  readonly metadata: Pick<ObjectMeta, 'name' | 'uid' | 'labels' | 'creationTimestamp'>;
  readonly status?: {
    readonly nodeInfo?: { readonly operatingSystem?: string };
    readonly conditions?: readonly {
      readonly type: string;
      readonly status: string;
      readonly lastTransitionTime?: string;
    }[];
  };
}

/**
 * Where a node is on its way to the revision that it is to run:
 * - `Waiting`: not granted yet (or granted another revision, and done with that).
 * - `InFlight`: granted, in whatever revision, and neither done nor failed; holds a slot.
 * - `Failed`: granted that revision and failed, or fell ill in it during the rollout; not tried again by itself.
 * - `Done`: has come to run that revision. It may be not Ready since, for another cause.
 */
export type NodePhase = 'Waiting' | 'InFlight' | 'Failed' | 'Done';

export interface NodeFailure {
  readonly code: string;
  readonly message: string;
  /** The agent says so itself and touches nothing more; otherwise only the deadline passed, and it may still act. */
  readonly isReported: boolean;
}

/** What a node is brought to, for whom, and by what it is judged. */
export interface RolloutTarget {
  readonly revision: string;
  readonly config: RenderedConfig | undefined;
  readonly profileUid: string;
  readonly retryToken: string;
  readonly gates: readonly BuiltinGate[];
  readonly ignoreNotReadyAfterMs: number;
  /** A node that came to run the revision fails when it is ill for this long; null when only the grant counts. */
  readonly illAfterMs: number | null;
  /** Since when the planner hears of the nodes without a gap, in milliseconds since 1970. */
  readonly hearsSinceMs: number;
}

/** Where a node comes among others. */
export interface NodeOrder {
  readonly zone: string;
  readonly bornMs: number;
  readonly name: string;
}

/** What is wrong with a node. */
export interface Illness {
  readonly code: string;
  readonly message: string;
  /** Since when, in milliseconds since 1970; 0 when that is not told. */
  readonly sinceMs: number;
}

/** What the objects say about one node, at one moment and towards one target. */
export interface NodeAssessment {
  readonly node: RolloutNode;
  /** The state of this very node; undefined when there is none, or one of an earlier node of that name. */
  readonly state: NodeProxyState | undefined;
  /** The state of an earlier node of that name; it has to go first. */
  readonly leftover: NodeProxyState | undefined;
  readonly order: NodeOrder;
  /** The revision that it is to run. */
  readonly goal: string;
  readonly phase: NodePhase;
  readonly failure: NodeFailure | undefined;
  /** Why it cannot be started, found before anything was touched. */
  readonly blocked: Illness | undefined;
  /** Its data plane serves, in whatever revision, and the node can be reached. */
  readonly isReady: boolean;
  /** Ready, the Node is Ready, and no gate fails. */
  readonly isWell: boolean;
  /** Runs the goal. */
  readonly isUpdated: boolean;
  /** Runs and serves the goal although its spec says something else: it went back by itself. */
  readonly servesGoal: boolean;
  /** The kubelet is silent: nothing that is granted now would be noticed. */
  readonly isUnreachable: boolean;
  /** Its agent is gone: nothing that is granted now would be done. */
  readonly isLost: boolean;
  /** It serves, and its agent cannot read what it programs. */
  readonly isBlind: boolean;
  /** Somebody else keeps changing what its agent puts back. */
  readonly drift: Illness | undefined;
  /** Dead for longer than ignoreNotReadyAfter, and nothing of ours is under way on it. */
  readonly isSkipped: boolean;
  /** Counts against maxUnavailable. */
  readonly isUnavailable: boolean;
  /** The batch that brought it to the revision in its spec. */
  readonly batch: number | undefined;
  readonly grantedAtMs: number | undefined;
  readonly settledAtMs: number | undefined;
  /** When time alone changes this assessment; Infinity where it does not. */
  readonly changesAtMs: number;
}
