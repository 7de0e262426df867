import type { Outcome } from './messages.ts';

/** The other side did not answer in time. */
export class AnswerTimeout extends Error {
  override readonly name = 'AnswerTimeout';
}

const OUTCOME_OF_ERRNO: Readonly<Record<string, Outcome>> = {
  ECONNREFUSED: 'refused',
  ECONNRESET: 'reset',
  EPIPE: 'reset',
  ECONNABORTED: 'reset',
  ETIMEDOUT: 'timed-out',
  EHOSTUNREACH: 'unreachable',
  ENETUNREACH: 'unreachable',
  ENETDOWN: 'unreachable',
  EADDRNOTAVAIL: 'unreachable',
  EACCES: 'unreachable',
  EPERM: 'unreachable',
};

/** How an attempt that failed with `error` ended. Throws errors that no network produces. */
export function outcomeOf(error: unknown): Outcome {
  if (error instanceof AnswerTimeout) return 'timed-out';
  const code = (error as NodeJS.ErrnoException).code;
  const outcome = code === undefined ? undefined : OUTCOME_OF_ERRNO[code];
  if (outcome === undefined) throw error;
  return outcome;
}

/** The peer closed although an answer was outstanding: to the client that is a reset. */
export function closedEarly(): Error {
  return Object.assign(new Error('closed before it answered'), { code: 'ECONNRESET' });
}
