import type { Element, Operation, SetDefinition, TableName } from '../../plan/nftables/objects.ts';
import { ATTRIBUTE_HEADER_BYTES, MAX_ATTRIBUTE_BYTES } from '../netlink/attributes.ts';
import type { AttributeWriter } from '../netlink/attributes.ts';
import type { Request } from '../netlink/connection.ts';
import { NLM_F_APPEND, NLM_F_CREATE, NLM_F_EXCL } from '../netlink/message.ts';
import type { Codec } from '../netlink/schema.ts';
import { writeGenericHeader } from '../netlink/transaction.ts';
import {
  FIELD_BYTES,
  FAMILY_NUMBERS,
  HOOK_NUMBERS,
  NFT_DATA_VERDICT,
  NFT_MSG,
  NFT_SET_CONCAT,
  NFT_SET_EVAL,
  NFT_SET_INTERVAL,
  NFT_SET_MAP,
  NFT_SET_TIMEOUT,
  PART_BYTES,
  PART_TYPES,
} from './constants.ts';
import { encodeComment } from './userdata.ts';
import { encodeVerdict } from './verdict.ts';
import { encodeExpression } from './expressions.ts';
import type { DataValues, SetValues } from './objects.ts';
import { chainSchema, elementListSchema, ruleSchema, setSchema, tableSchema } from './objects.ts';

/** Without a size the kernel lets rules add no element; beyond it they add none, and the packet takes the next rule. */
const DYNAMIC_SET_SIZE = 1 << 20;
/** NF_ACCEPT: what base chains do with a packet that no rule decided. */
const POLICY_ACCEPT = 1;

/** The netlink messages of one operation: one, or several where a list of elements has to be split. */
export function encodeOperation(operation: Operation): Request[] {
  switch (operation.kind) {
    case 'addTable':
    case 'deleteTable':
      return [encodeTable(operation)];
    case 'addChain':
    case 'deleteChain':
    case 'flushChain':
      return [encodeChain(operation)];
    case 'addRule':
      return [encodeRule(operation)];
    case 'addSet':
    case 'deleteSet':
      return [encodeSet(operation)];
    case 'addElements':
    case 'deleteElements':
      return encodeElements(operation);
  }
}

type OperationOf<K extends Operation['kind']> = Extract<Operation, { kind: K }>;

function messageFor<T>(
  table: TableName,
  about: Pick<Request, 'operation' | 'object' | 'type' | 'flags'>,
  schema: Codec<T>,
  values: T,
): Request {
  return {
    ...about,
    object: `${about.object} of table ${table.family} ${table.name}`,
    write(writer: AttributeWriter) {
      writeGenericHeader(writer, FAMILY_NUMBERS[table.family]);
      schema.encode(writer, values);
    },
  };
}

function encodeTable({ kind, table }: OperationOf<'addTable' | 'deleteTable'>): Request {
  const isAdd = kind === 'addTable';
  const about = { operation: isAdd ? 'add table' : 'delete table', object: 'all' };
  const type = isAdd ? NFT_MSG.NEWTABLE : NFT_MSG.DELTABLE;
  return messageFor(table, { ...about, type, flags: isAdd ? NLM_F_CREATE : 0 }, tableSchema, {
    name: table.name,
    ...(isAdd ? { flags: 0 } : {}),
  });
}

function encodeChain({ kind, table, chain }: OperationOf<'addChain' | 'deleteChain' | 'flushChain'>): Request {
  const object = `chain ${chain.name}`;
  if (kind === 'flushChain') {
    const about = { operation: 'flush', object, type: NFT_MSG.DELRULE };
    return messageFor(table, about, ruleSchema, { table: table.name, chain: chain.name });
  }
  const name = { table: table.name, name: chain.name };
  if (kind === 'deleteChain') {
    return messageFor(table, { operation: 'delete', object, type: NFT_MSG.DELCHAIN }, chainSchema, name);
  }
  const about = { operation: 'add', object, type: NFT_MSG.NEWCHAIN, flags: NLM_F_CREATE };
  const { base } = chain;
  if (base === undefined) return messageFor(table, about, chainSchema, name);
  const hook = { number: HOOK_NUMBERS[base.hook], priority: base.priority };
  return messageFor(table, about, chainSchema, { ...name, hook, policy: POLICY_ACCEPT, type: base.type });
}

function encodeRule({ table, chain, rule }: OperationOf<'addRule'>): Request {
  const about = { operation: 'add rule', object: `chain ${chain}` };
  return messageFor(table, { ...about, type: NFT_MSG.NEWRULE, flags: NLM_F_CREATE | NLM_F_APPEND }, ruleSchema, {
    table: table.name,
    chain,
    expressions: rule.expressions.map(encodeExpression),
    userdata: rule.comment === undefined ? undefined : encodeComment(rule.comment),
  });
}

/** The transaction-wide id that NFT_MSG_NEWSET demands; sets are referred to by name, so any number will do. */
let lastSetId = 0;

function encodeSet({ kind, table, set }: OperationOf<'addSet' | 'deleteSet'>): Request {
  const object = `set ${set.name}`;
  if (kind === 'deleteSet') {
    const about = { operation: 'delete', object, type: NFT_MSG.DELSET };
    return messageFor(table, about, setSchema, { table: table.name, name: set.name });
  }
  lastSetId = (lastSetId % 0xffff) + 1;
  const about = { operation: 'add', object, type: NFT_MSG.NEWSET, flags: NLM_F_CREATE };
  return messageFor(table, about, setSchema, { table: table.name, ...describeSet(set), id: lastSetId });
}

function partsType(parts: readonly (keyof typeof PART_TYPES)[]): number {
  return parts.reduce((type, part) => (type << 6) | PART_TYPES[part], 0) >>> 0;
}

function partsLength(parts: readonly (keyof typeof PART_BYTES)[]): number {
  return parts.reduce((bytes, part) => bytes + PART_BYTES[part], 0);
}

/** A set as the kernel knows it; what it reports back for an equal set is equal. */
export function describeSet(set: SetDefinition): SetValues {
  const { data } = set;
  const isRangedConcat = set.hasRanges === true && set.key.length > 1;
  const flags =
    (data === undefined ? 0 : NFT_SET_MAP) |
    (set.hasRanges === true ? NFT_SET_INTERVAL : 0) |
    (isRangedConcat ? NFT_SET_CONCAT : 0) |
    (set.isDynamic === true ? NFT_SET_TIMEOUT | NFT_SET_EVAL : 0);
  const dataPart =
    data === undefined
      ? {}
      : data === 'verdict'
        ? { dataType: NFT_DATA_VERDICT, dataLength: 0 }
        : { dataType: partsType(data), dataLength: partsLength(data) };
  return {
    name: set.name,
    flags,
    keyType: partsType(set.key),
    keyLength: partsLength(set.key),
    ...dataPart,
    ...(isRangedConcat ? { description: { concat: set.key.map((part) => ({ length: FIELD_BYTES[part] })) } } : {}),
    ...(set.isDynamic === true ? { description: { size: DYNAMIC_SET_SIZE } } : {}),
  };
}

/** Room for an element's nested attributes: list item, key, data, key end, each with an inner value. */
const ELEMENT_OVERHEAD_BYTES = 8 * ATTRIBUTE_HEADER_BYTES;
const VERDICT_BYTES = 64;

function elementSize({ key, keyEnd, data }: Element): number {
  const dataBytes =
    data === undefined ? 0 : data instanceof Uint8Array ? data.length : VERDICT_BYTES + chainBytes(data);
  return ELEMENT_OVERHEAD_BYTES + key.length + (keyEnd?.length ?? 0) + dataBytes;
}

function chainBytes(verdict: object): number {
  return 'chain' in verdict && typeof verdict.chain === 'string' ? Buffer.byteLength(verdict.chain) : 0;
}

function encodeElementData(data: NonNullable<Element['data']>): DataValues {
  return data instanceof Uint8Array ? { value: data } : encodeVerdict(data);
}

function encodeElements(operation: OperationOf<'addElements' | 'deleteElements'>): Request[] {
  const { kind, table, set, elements } = operation;
  const isAdd = kind === 'addElements';
  const about = {
    operation: isAdd ? 'add elements' : 'delete elements',
    object: `set ${set.name}`,
    type: isAdd ? NFT_MSG.NEWSETELEM : NFT_MSG.DELSETELEM,
    // Refused with EEXIST instead of silently kept when somebody else's element is in the way.
    flags: isAdd ? NLM_F_CREATE | NLM_F_EXCL : 0,
  };
  return splitBySize(elements).map((some) =>
    messageFor(table, about, elementListSchema, {
      table: table.name,
      set: set.name,
      elements: some.map(({ key, keyEnd, data }) => ({
        key: { value: key },
        keyEnd: keyEnd === undefined ? undefined : { value: keyEnd },
        data: data === undefined || !isAdd ? undefined : encodeElementData(data),
      })),
    }),
  );
}

/** Lists whose attribute stays below 65,535 bytes. */
function splitBySize(elements: readonly Element[]): Element[][] {
  const lists: Element[][] = [];
  let current: Element[] = [];
  let size = ATTRIBUTE_HEADER_BYTES;
  for (const element of elements) {
    const bytes = elementSize(element);
    if (size + bytes > MAX_ATTRIBUTE_BYTES) {
      lists.push(current);
      current = [];
      size = ATTRIBUTE_HEADER_BYTES;
    }
    current.push(element);
    size += bytes;
  }
  if (current.length > 0) lists.push(current);
  return lists;
}
