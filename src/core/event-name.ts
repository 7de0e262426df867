import { createHash } from 'node:crypto';

/** Of the name of an object, at most this much is in the name of an event about it. */
const MAX_PREFIX = 200;

/**
 * A name for an event about an object: the same for the same identity, so that telling it twice makes one event, and one
 * that the API server takes whatever the object is called.
 */
export function eventName(object: string, identity: string): string {
  const digest = createHash('sha256').update(identity).digest('hex').slice(0, 16);
  return `${object.slice(0, MAX_PREFIX).replace(/[-.]+$/, '')}.${digest}`;
}
