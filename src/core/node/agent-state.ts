import { z } from 'zod';
import { ATTEMPT_PHASES, renderedConfig } from '../api/node-proxy-state.ts';
import { goBackAgain, HANDOVER_BY, isOver, mayServeAlone, type Attempt, type Serving } from './mode-switch.ts';
import type { ImplementedMode } from '../mode.ts';

const serving = z.strictObject({ revision: z.string(), config: renderedConfig });
const phase = z.enum(ATTEMPT_PHASES);

const attempt = z.strictObject({
  id: z.string(),
  from: serving.nullable(),
  to: serving,
  phase,
  takesOver: z.boolean().default(false),
  handoverBy: z.enum(HANDOVER_BY).default('controller'),
  startedAtMs: z.number(),
  deadlineAtMs: z.number().nullable(),
  baseline: z
    .array(z.strictObject({ name: z.string(), result: z.enum(['Pass', 'Fail']), message: z.string() }))
    .readonly()
    .default([]),
  failure: z.strictObject({ phase, code: z.string(), message: z.string() }).nullable(),
});

/** What a node's agent keeps on disk, so that a restart knows what serves and what was under way. */
export const agentState = z.strictObject({
  version: z.literal(1),
  serving: serving.nullable(),
  servingSinceMs: z.number(),
  attempt: attempt.nullable(),
});
export type AgentState = z.infer<typeof agentState>;

export const EMPTY_STATE: AgentState = { version: 1, serving: null, servingSinceMs: 0, attempt: null };

/** Where an agent goes on after it was stopped at any line. */
export interface Resumption {
  readonly serving: Serving | null;
  readonly attempt: Attempt | null;
}

/**
 * From what the disk says and which modes have rules of ours in the kernel. An attempt under way is done again from the
 * step it was in, since every step is idempotent; except that one which the kernel has forgotten (a reboot) starts over.
 * Without a word on disk, rules that are there are taken to serve.
 */
export function resume(disk: AgentState, present: readonly ImplementedMode[]): Resumption {
  const onlyPresent = present.length === 1 ? present[0] : undefined;
  const adopted: Serving | null = onlyPresent === undefined ? null : adopt(onlyPresent);
  if (disk.attempt?.phase === 'Failed') return { serving: disk.serving, attempt: goBackAgain(disk.attempt) };
  if (disk.attempt === null || isOver(disk.attempt)) {
    return { serving: disk.serving ?? adopted, attempt: disk.attempt };
  }
  const { phase: at, from, to } = disk.attempt;
  const isProven = mayServeAlone(disk.attempt) && present.includes(to.config.mode);
  if (isProven) return { serving: from, attempt: disk.attempt };
  const isOnWayBack = at === 'RollingBack' || at === 'AwaitReturn';
  return { serving: from, attempt: isOnWayBack ? disk.attempt : { ...disk.attempt, phase: 'Preflight' } };
}

/** Rules that nobody remembers the configuration of: the defaults, until the controller or the profile says otherwise. */
function adopt(mode: ImplementedMode): Serving {
  return { revision: 'adopted', config: renderedConfig.parse({ mode }) };
}
