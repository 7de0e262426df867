import { resume, type Resumption } from '../../core/node/agent-state.ts';
import { isOver, mayServeAlone, type Serving } from '../../core/node/mode-switch.ts';
import type { ImplementedMode } from '../../core/mode.ts';
import type { ServicePorts } from '../../core/service/snapshot.ts';
import type { AnchorKeeper } from '../drift/anchor-keeper.ts';
import type { EngineParts } from '../engine-parts.ts';
import { lookForModes } from './present-modes.ts';
import type { ModeSwitcher } from '../switch/mode-switcher.ts';
import type { ServiceFollower } from '../services/service-follower.ts';

/** What was found so long ago may have changed: nobody guards rules before they are followed. */
const BELIEVED_MS = 2_000;

export type EarlierLifeParts = Pick<
  EngineParts,
  'createDataplane' | 'stateFile' | 'settings' | 'clock' | 'log' | 'onTransition'
> & {
  readonly follower: ServiceFollower;
  readonly switcher: ModeSwitcher;
  readonly anchor: AnchorKeeper;
};

interface Found {
  readonly present: readonly ImplementedMode[];
  /** What serves alone, or may: the mode in which the node goes on. */
  readonly standing: Serving | null;
  /** A mode that is to come back beside another comes back with what the other remembers. */
  readonly isAway: boolean;
  /** Monotonic. */
  readonly atMs: number;
}

/** What an agent that ran before left on this node: found, brought to its settings, and gone on with. */
export class EarlierLife {
  readonly #parts: EarlierLifeParts;
  #found: Found | null = null;
  #recalledAtMs: number | null = null;

  constructor(parts: EarlierLifeParts) {
    this.#parts = parts;
  }

  /** Since when the rules of what serves are known to stand in the kernel, wall clock; null where they do not. */
  get recalledAtMs(): number | null {
    return this.#recalledAtMs;
  }

  /** Looks at the disk and the kernel, and at the settings of what serves; no rules are written. */
  async recall(): Promise<void> {
    const { createDataplane, log, stateFile, switcher, clock, onTransition } = this.#parts;
    const { present } = await lookForModes(createDataplane, this.#parts);
    const disk = stateFile.read();
    const resumption = resume(disk, present);
    switcher.resume(resumption, disk.servingSinceMs);
    const { serving } = resumption;
    const standing = standingOf(resumption);
    if (standing !== null) await this.#prepare(standing);
    this.#found = { present, standing, isAway: isAway(resumption, present), atMs: clock.monotonicMs() };
    if (serving === null || !present.includes(serving.config.mode)) this.#recalledAtMs = null;
    else this.#recalledAtMs ??= clock.now();
    log.info({ present, ...fieldsOf(resumption) }, 'found what this node ran before');
    onTransition();
  }

  async #prepare({ config }: Serving): Promise<void> {
    const { settings, anchor } = this.#parts;
    await settings.resume(config);
    anchor.note();
    await anchor.keepOnce();
  }

  /** From now on what stands follows the Services. */
  async follow(): Promise<void> {
    const { clock, follower } = this.#parts;
    if (this.#found === null || clock.monotonicMs() - this.#found.atMs > BELIEVED_MS) await this.recall();
    const { standing = null, isAway = false } = this.#found ?? {};
    if (standing !== null && !isAway) follower.serve(standing);
  }

  /**
   * While the API server is away: keeps what served at the Services that were known last. Rules that stand still are newer
   * than those, and left alone until somebody changes them. Returns when the signal aborts, or at once where nothing served
   * or no Services are known. `listen` is called before each look for something to do; what it gives returns when there may
   * be something since then, or at this monotonic time.
   */
  async serveCached(
    read: () => ServicePorts | undefined,
    signal: AbortSignal,
    listen: () => (dueMs: number) => Promise<void>,
  ): Promise<void> {
    const { follower, switcher, anchor, log, onTransition } = this.#parts;
    const { serving } = switcher;
    const servicePorts = serving === null ? undefined : read();
    if (serving === null || servicePorts === undefined) return;
    const { mode } = serving.config;
    follower.openCached(serving, servicePorts, this.#found?.present.includes(mode) === true);
    while (!signal.aborted) {
      const untilWoken = listen();
      const hasKept = await anchor.keepOnce();
      if (await follower.followCached()) {
        if (follower.error === null)
          log.warn({ mode, services: servicePorts.size }, 'serves what was known last; it may be stale');
        onTransition();
      } else if (!hasKept) await untilWoken(Math.min(anchor.dueMs, follower.retryAtMs ?? Infinity));
    }
  }
}

/** What serves alone, or may. */
function standingOf({ serving, attempt }: Resumption): Serving | null {
  return attempt !== null && !isOver(attempt) && mayServeAlone(attempt) ? attempt.to : serving;
}

function isAway(resumption: Resumption, present: readonly ImplementedMode[]): boolean {
  const standing = standingOf(resumption);
  return resumption.attempt?.phase === 'RollingBack' && standing !== null && !present.includes(standing.config.mode);
}

function fieldsOf({ serving, attempt }: Resumption): Readonly<Record<string, string | undefined>> {
  const { revision, config } = serving ?? {};
  return { mode: config?.mode, revision, attempt: attempt?.id, phase: attempt?.phase };
}
