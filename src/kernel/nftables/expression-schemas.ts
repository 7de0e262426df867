import { binary, container, field, text, u32be, u64be, u8 } from '../netlink/schema.ts';
import { dataSchema } from './objects.ts';

/**
 * Attributes of the expressions we emit (enum nft_*_attributes), in the order in which nft sends them; registers and keys
 * are u32 in network byte order.
 */
export const payloadSchema = container({
  to: field(1, u32be),
  base: field(2, u32be),
  offset: field(3, u32be),
  length: field(4, u32be),
  /** Set when the expression writes into the packet instead. */
  from: field(5, u32be),
});
export const metaSchema = container({ key: field(2, u32be), to: field(1, u32be), from: field(3, u32be) });
export const ctSchema = container({
  key: field(2, u32be),
  to: field(1, u32be),
  direction: field(3, u8),
  from: field(4, u32be),
});
export const compareSchema = container({
  from: field(1, u32be),
  operator: field(2, u32be),
  data: field(3, dataSchema),
});
export const bitwiseSchema = container({
  from: field(1, u32be),
  to: field(2, u32be),
  length: field(3, u32be),
  mask: field(4, dataSchema),
  xor: field(5, dataSchema),
  operation: field(6, u32be),
});
export const lookupSchema = container({
  set: field(1, text),
  from: field(2, u32be),
  to: field(3, u32be),
  flags: field(5, u32be),
});
export const numgenSchema = container({
  to: field(1, u32be),
  modulus: field(2, u32be),
  type: field(3, u32be),
  offset: field(4, u32be),
});
export const hashSchema = container({
  from: field(1, u32be),
  to: field(2, u32be),
  length: field(3, u32be),
  modulus: field(4, u32be),
  seed: field(5, u32be),
  offset: field(6, u32be),
  type: field(7, u32be),
});
export const immediateSchema = container({ to: field(1, u32be), data: field(2, dataSchema) });
export const natSchema = container({
  type: field(1, u32be),
  family: field(2, u32be),
  addressMin: field(3, u32be),
  addressMax: field(4, u32be),
  portMin: field(5, u32be),
  portMax: field(6, u32be),
  flags: field(7, u32be),
});
export const masqueradeSchema = container({ flags: field(1, u32be), portMin: field(2, u32be) });
export const rejectSchema = container({ type: field(1, u32be), code: field(2, u8) });
export const fibSchema = container({ flags: field(3, u32be), result: field(2, u32be), to: field(1, u32be) });
export const dynsetSchema = container({
  set: field(1, text),
  operation: field(3, u32be),
  key: field(4, u32be),
  data: field(5, u32be),
  timeoutMs: field(6, u64be),
  /** A counter or limit kept per element: never ours. */
  hasExpressions: field(7, binary),
});
