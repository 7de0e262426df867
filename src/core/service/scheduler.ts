import { IPVS_SCHEDULERS, type IpvsScheduler } from './ipvs-options.ts';
import type { ObjectMeta } from '../kubernetes.ts';
import type { ProblemCollector } from './service-problems.ts';
import type { ServicePort } from './snapshot.ts';

/** How the connections of a Service are spread, in the words that the kernel's IPVS has for it. */
export const ANNOTATION_SCHEDULER = 'switchyard.dev/scheduler';

/** How one Service's connections are spread. */
export type WantedScheduling = Pick<ServicePort, 'scheduler' | 'ipvsScheduler'>;

/** Those that hash; `-port` is the option of `sh` and `mh` to hash the client's port as well. */
const HASHES: Readonly<Record<string, WantedScheduling>> = {
  sh: { scheduler: 'sourceHash' },
  'sh-port': { scheduler: 'sourcePortHash' },
  mh: { scheduler: 'sourceHash', ipvsScheduler: 'mh' },
  'mh-port': { scheduler: 'sourcePortHash', ipvsScheduler: 'mh' },
};
const OTHERS: readonly IpvsScheduler[] = IPVS_SCHEDULERS.filter((name) => !Object.hasOwn(HASHES, name));

const SCHEDULING_WORDS: ReadonlyMap<string, WantedScheduling> = new Map<string, WantedScheduling>([
  ['random', { scheduler: 'random' }],
  ...Object.entries(HASHES),
  // What nothing but IPVS can do is random elsewhere.
  ...OTHERS.map((name) => [name, { scheduler: 'random', ipvsScheduler: name }] as const),
]);

/** Absent means random, and the profile's scheduler in IPVS mode; so does a word that is not known, which is reported. */
export function parseScheduler(problems: ProblemCollector, metadata: ObjectMeta | null | undefined): WantedScheduling {
  const word: unknown = metadata?.annotations?.[ANNOTATION_SCHEDULER];
  if (word === undefined) return { scheduler: 'random' };
  const known = typeof word === 'string' ? SCHEDULING_WORDS.get(word) : undefined;
  if (known !== undefined) return known;
  const words = [...SCHEDULING_WORDS.keys()].join(', ');
  problems.add(`metadata.annotations[${ANNOTATION_SCHEDULER}]`, `${JSON.stringify(word)} is not one of ${words}`);
  return { scheduler: 'random' };
}
