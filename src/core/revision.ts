import { createHash } from 'node:crypto';
import type { RenderedConfig } from './api/node-proxy-state.ts';

/** JSON with the keys of every object in order, so that equal values give equal text. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) =>
    part !== null && typeof part === 'object' && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );
}

/** The revision of what a node acts on: ten hexadecimal digits of its SHA-256. Rollout knobs are no part of it. */
export function revisionOf(rendered: RenderedConfig): string {
  return createHash('sha256').update(canonicalJson(rendered)).digest('hex').slice(0, 10);
}
