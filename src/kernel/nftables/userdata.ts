/** NFTNL_UDATA_RULE_COMMENT of libnftnl: the kernel keeps these bytes for nft and does not look at them. */
const RULE_COMMENT = 0;
const HEADER_BYTES = 2;

/** A rule's comment as nft stores it: type, length, text and its NUL. */
export function encodeComment(comment: string): Uint8Array {
  const text = Buffer.from(`${comment}\0`);
  return Uint8Array.from([RULE_COMMENT, text.length, ...text]);
}

/** Undefined when there is none, or when the bytes are somebody else's. */
export function decodeComment(userdata: Uint8Array): string | undefined {
  for (let at = 0; at + HEADER_BYTES <= userdata.length;) {
    const length = userdata[at + 1] ?? 0;
    const value = userdata.subarray(at + HEADER_BYTES, at + HEADER_BYTES + length);
    if (userdata[at] === RULE_COMMENT) return Buffer.from(value).toString().replace(/\0$/, '');
    at += HEADER_BYTES + length;
  }
  return undefined;
}
