/** kube-proxy's cap on what it derives from the number of cores. */
const MAX_SCALED = 1_048_576;

/** `struct nf_conn` (a 320-byte slab object) and the extension that NAT adds to it (128 bytes), on 64 bit. */
const ENTRY_BYTES = 448;
/** `struct hlist_nulls_head` */
const BUCKET_BYTES = 8;

/** Entries that the table is to hold at least; 0 leaves it as it is. */
export function conntrackMax(
  { maxPerCore, min }: { readonly maxPerCore: number; readonly min: number },
  cores: number,
): number {
  return maxPerCore === 0 ? 0 : Math.max(min, Math.min(MAX_SCALED, maxPerCore * cores));
}

/** Memory that a full table takes, in bytes, as an estimate. */
export function conntrackMemoryBytes(max: number, buckets: number): number {
  return max * ENTRY_BYTES + buckets * BUCKET_BYTES;
}
