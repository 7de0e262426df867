import type { ObjectMeta } from './kubernetes.ts';
import type { ProblemCollector } from './service-problems.ts';
import type { Scheduler } from './snapshot.ts';

/** How the connections of a Service are spread, in the words that the kernel's IPVS has for it. */
export const ANNOTATION_SCHEDULER = 'switchyard.dev/scheduler';

const SCHEDULER_WORDS: Readonly<Record<string, Scheduler>> = {
  random: 'random',
  sh: 'sourceHash',
  'sh-port': 'sourcePortHash',
};

/** Absent means random; so does a word that is not known, which is reported. */
export function parseScheduler(problems: ProblemCollector, metadata: ObjectMeta | null | undefined): Scheduler {
  const word: unknown = metadata?.annotations?.[ANNOTATION_SCHEDULER];
  if (word === undefined) return 'random';
  const known = typeof word === 'string' && Object.hasOwn(SCHEDULER_WORDS, word) ? SCHEDULER_WORDS[word] : undefined;
  if (known !== undefined) return known;
  const words = Object.keys(SCHEDULER_WORDS).join(', ');
  problems.add(`metadata.annotations[${ANNOTATION_SCHEDULER}]`, `${JSON.stringify(word)} is not one of ${words}`);
  return 'random';
}
