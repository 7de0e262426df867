import type { ProxyProfileStatus } from '../api/proxy-profile.ts';
import { FACT } from './facts.ts';
import type { NodeAssessment } from './node.ts';
import { compareForBatch, compareForCanary, compareForRollback, firstOf, zoneOf } from './order.ts';
import type { Scene } from './scene.ts';
import type { Stage } from './stage.ts';

type PlannedNode = NonNullable<ProxyProfileStatus['plan']>[number];

const MAX_PLAN = 20;

interface Numbered {
  readonly node: NodeAssessment;
  readonly batch: number | undefined;
}

interface Outlook {
  /** The first of all that is still to change, as it looks now. */
  readonly next: readonly Numbered[];
  readonly lastBatch: number | undefined;
}

/** Gives nodes in their order their batches: a new one where the zone changes, or where as many are in it as may be. */
class BatchCount {
  readonly #max: number;
  #zone = '';
  #size: number;
  batch: number;

  constructor(from: number, max: number) {
    this.batch = from;
    this.#max = max;
    this.#size = max;
  }

  add(zone: string, count = 1): number {
    if (this.#size >= this.#max || zone !== this.#zone) {
      this.batch += 1;
      this.#zone = zone;
      this.#size = 0;
    }
    const over = Math.max(0, this.#size + count - this.#max);
    this.batch += Math.ceil(over / this.#max);
    this.#size = over === 0 ? this.#size + count : over % this.#max || this.#max;
    return this.batch;
  }
}

/** How many nodes there are of each zone, in the order in which the zones are gone through: first where nodes do not serve. */
function zonesOf(nodes: readonly NodeAssessment[]): { readonly zone: string; readonly count: number }[] {
  const [serving, others] = [new Map<string, number>(), new Map<string, number>()];
  for (const node of nodes) {
    const counts = node.isReady ? serving : others;
    const zone = zoneOf(node);
    counts.set(zone, (counts.get(zone) ?? 0) + 1);
  }
  return [others, serving].flatMap((counts) =>
    [...counts].map(([zone, count]) => ({ zone, count })).sort((a, b) => (a.zone < b.zone ? -1 : 1)),
  );
}

function forwardOutlook(scene: Scene, stage: Stage, waiting: readonly NodeAssessment[]): Outlook {
  const { maxUnavailable } = scene.budget;
  const pool = stage.canaryWanted > 0 ? scene.nodes.where(FACT.candidate | FACT.canary) : [];
  const canary = new Set(firstOf(pool, stage.canaryWanted, compareForCanary));
  const rest = canary.size === 0 ? waiting : waiting.filter((node) => !canary.has(node));
  const [next, all] = [0, 1].map(() => new BatchCount(stage.batch ?? 0, maxUnavailable)) as [BatchCount, BatchCount];
  for (const { zone, count } of zonesOf(rest)) all.add(zone, count);
  const numbered: Numbered[] = [...canary].map((node) => ({ node, batch: 0 }));
  for (const node of firstOf(rest, MAX_PLAN, compareForBatch)) numbered.push({ node, batch: next.add(zoneOf(node)) });
  const lastBatch = rest.length > 0 ? all.batch : canary.size > 0 ? 0 : undefined;
  return { next: numbered.slice(0, MAX_PLAN), lastBatch };
}

function outlook(scene: Scene, stage: Stage | undefined): Outlook {
  const waiting = scene.nodes.where(FACT.candidate);
  if (stage !== undefined) return forwardOutlook(scene, stage, waiting);
  const compare = scene.course.kind === 'Back' ? compareForRollback : compareForBatch;
  const next = firstOf(waiting, MAX_PLAN, compare).map((node) => ({ node, batch: undefined }));
  return { next, lastBatch: undefined };
}

export interface Preview {
  /** The next nodes. */
  readonly plan: readonly PlannedNode[];
  /** Batches that are needed in all, as it looks now; undefined where there are none. */
  readonly batches: number | undefined;
}

export function previewRollout(scene: Scene, stage: Stage | undefined): Preview {
  const { next, lastBatch } = outlook(scene, stage);
  const plan = next.flatMap(({ node, batch }): PlannedNode[] => {
    const to = scene.course.configOf(node.goal)?.mode;
    const from = node.state?.status?.current?.mode;
    if (to === undefined) return [];
    return [
      {
        node: node.node.metadata.name,
        ...(from === undefined ? {} : { from }),
        to,
        revision: node.goal,
        ...(batch === undefined ? {} : { batch }),
      },
    ];
  });
  return { plan, batches: stage === undefined ? undefined : (lastBatch ?? stage.batch) };
}
