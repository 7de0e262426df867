import { binary, container, field, i32be, listOf, nestedBinary, text, u32be, u64be } from '../netlink/schema.ts';
import type { Values } from '../netlink/schema.ts';

/** NFTA_LIST_ELEM */
export const LIST_ELEMENT = 1;

export const tableFields = { name: field(1, text), flags: field(2, u32be), useCount: field(3, u32be) };
export const tableSchema = container(tableFields);

const hookFields = { number: field(1, u32be), priority: field(2, i32be) };

export const chainSchema = container({
  table: field(1, text),
  name: field(3, text),
  hook: field(4, container(hookFields)),
  policy: field(5, u32be),
  type: field(7, text),
});

const expressionFields = { name: field(1, text), data: field(2, nestedBinary) };
export const rawExpressionSchema = container(expressionFields);
export type RawExpression = Values<typeof expressionFields>;

export const ruleSchema = container({
  table: field(1, text),
  chain: field(2, text),
  handle: field(3, u64be),
  expressions: field(4, listOf(LIST_ELEMENT, rawExpressionSchema)),
  userdata: field(7, binary),
});

const concatFieldSchema = container({ length: field(1, u32be) });
const descriptionSchema = container({
  size: field(1, u32be),
  concat: field(2, listOf(LIST_ELEMENT, concatFieldSchema)),
});

export const setSchema = container({
  table: field(1, text),
  name: field(2, text),
  flags: field(3, u32be),
  keyType: field(4, u32be),
  keyLength: field(5, u32be),
  dataType: field(6, u32be),
  dataLength: field(7, u32be),
  description: field(9, descriptionSchema),
  id: field(10, u32be),
  userdata: field(13, binary),
  expression: field(17, rawExpressionSchema),
});
export type SetValues = ReturnType<typeof setSchema.decode>;

const verdictFields = { code: field(1, i32be), chain: field(2, text) };
const dataFields = { value: field(1, binary), verdict: field(2, container(verdictFields)) };
export const dataSchema = container(dataFields);
export type DataValues = Values<typeof dataFields>;

/** NFTA_COUNTER_* */
const counterSchema = container({ bytes: field(1, u64be), packets: field(2, u64be) });
/** The only expression that elements of ours have. */
const elementCounterSchema = container({ name: field(1, text), data: field(2, counterSchema) });

export const elementSchema = container({
  key: field(1, dataSchema),
  data: field(2, dataSchema),
  flags: field(3, u32be),
  timeoutMs: field(4, u64be),
  expirationMs: field(5, u64be),
  counter: field(7, elementCounterSchema),
  keyEnd: field(10, dataSchema),
});

export const elementListSchema = container({
  table: field(1, text),
  set: field(2, text),
  elements: field(3, listOf(LIST_ELEMENT, elementSchema)),
});

export const generationSchema = container({ id: field(1, u32be) });
