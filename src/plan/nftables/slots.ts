import type { Backend } from '../../core/service/snapshot.ts';

/**
 * How many slots the hashes of clients fall into, for so many endpoints: eight or more for each, so that none goes without.
 * The size changes in few, rare steps, because that moves nearly all clients.
 */
const TABLE_SIZES: readonly { readonly endpoints: number; readonly slots: number }[] = [
  { endpoints: 1, slots: 1 },
  { endpoints: 64, slots: 512 },
  { endpoints: 512, slots: 4096 },
];

/** Owners are asked for by every frontend of a Service, and again when it changes. */
const known = new WeakMap<readonly Backend[], readonly Backend[]>();

/**
 * The backend of each slot, by rendezvous: a slot's owner is the backend with the highest score for it. So a backend that
 * goes gives its slots to the others and moves no other client, one that comes takes only what it gets, and every node
 * says the same. Beyond 512 backends each is a slot of its own, and a change moves nearly all clients: a table that is
 * large enough would cost more than it is worth.
 */
export function slotOwners(backends: readonly Backend[]): readonly Backend[] {
  const size = TABLE_SIZES.find(({ endpoints }) => backends.length <= endpoints);
  if (size === undefined || backends.length === 0) return backends;
  const owners = known.get(backends) ?? findOwners(backends, size.slots);
  known.set(backends, owners);
  return owners;
}

function findOwners(backends: readonly Backend[], slots: number): Backend[] {
  const contenders = backends.map((backend) => ({ backend, seed: textHash(`${backend.address} ${backend.port}`) }));
  return Array.from({ length: slots }, (_, slot) => {
    const spread = Math.imul(slot + 1, 0x9e3779b1);
    let [owner] = backends as [Backend];
    let best = -1;
    for (const { backend, seed } of contenders) {
      const score = mix(seed ^ spread);
      if (score <= best) continue;
      best = score;
      owner = backend;
    }
    return owner;
  });
}

/** FNV-1a, 32 bits. */
function textHash(text: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at += 1) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  return mix(hash);
}

/** The finalizer of MurmurHash3: every bit of the input changes half of the output's. */
function mix(value: number): number {
  let hash = value ^ (value >>> 16);
  hash = Math.imul(hash, 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
