import ipaddr from 'ipaddr.js';
import type { TableDifference } from './diff.ts';
import type { FamilyLayout } from './layout.ts';
import { TABLE_NAME } from './layout.ts';
import type { Element, Operation, Part, SetDefinition } from './objects.ts';

/** One deviation, in the words of kernel/dataplane.ts. */
export interface DescribedDifference {
  readonly object: string;
  readonly problem: 'missing' | 'unexpected' | 'changed';
}

/** Beyond this many elements of one set they are counted instead of named. */
const NAMED_ELEMENTS = 20;

/** A difference in words. Chains in `kept` are ours: policies that nobody has any more, until the next sync. */
export function describeDifferences(
  layout: FamilyLayout,
  difference: TableDifference | 'missing',
  kept: ReadonlySet<string>,
): DescribedDifference[] {
  const table = `table ${layout.table} ${TABLE_NAME}`;
  if (difference === 'missing') return [{ object: table, problem: 'missing' }];
  const { operations, leftovers } = difference;
  if (operations.some(({ kind }) => kind === 'deleteTable')) {
    const isReplaced = operations.some(({ kind }) => kind === 'addTable');
    return [{ object: table, problem: isReplaced ? 'changed' : 'unexpected' }];
  }
  const added = new Set(
    operations.flatMap((operation) => (operation.kind === 'addChain' ? [operation.chain.name] : [])),
  );
  const changed = new Set(
    operations.flatMap((operation) => {
      if (operation.kind === 'flushChain') return [operation.chain.name];
      return operation.kind === 'addRule' && !added.has(operation.chain) ? [operation.chain] : [];
    }),
  );
  return [
    ...[...changed].map((chain) => ({ object: `chain ${chain} of ${table}`, problem: 'changed' as const })),
    ...operations.flatMap((operation) => describeOperation(operation, table, kept)),
    ...leftovers.flatMap((operation) => describeOperation(operation, table, kept)),
  ];
}

function describeOperation(operation: Operation, table: string, kept: ReadonlySet<string>): DescribedDifference[] {
  switch (operation.kind) {
    case 'addChain':
      return [{ object: `chain ${operation.chain.name} of ${table}`, problem: 'missing' }];
    case 'deleteChain':
      if (kept.has(operation.chain.name)) return [];
      return [{ object: `chain ${operation.chain.name} of ${table}`, problem: 'unexpected' }];
    case 'addSet':
      return [{ object: `set ${operation.set.name} of ${table}`, problem: 'missing' }];
    case 'deleteSet':
      return [{ object: `set ${operation.set.name} of ${table}`, problem: 'unexpected' }];
    case 'addElements':
      return describeElements(operation.set, operation.elements, table, 'missing');
    case 'deleteElements': {
      const unknown = operation.elements.filter(({ data }) => !leadsTo(data, kept));
      return describeElements(operation.set, unknown, table, 'unexpected');
    }
    case 'addTable':
    case 'deleteTable':
    case 'addRule':
    case 'flushChain':
      return [];
  }
}

function leadsTo(data: Element['data'], chains: ReadonlySet<string>): boolean {
  return data !== undefined && 'chain' in data && chains.has(data.chain);
}

function describeElements(
  set: SetDefinition,
  elements: readonly Element[],
  table: string,
  problem: 'missing' | 'unexpected',
): DescribedDifference[] {
  if (elements.length > NAMED_ELEMENTS) {
    return [{ object: `${elements.length} elements of ${set.name} of ${table}`, problem }];
  }
  return elements.map((element) => ({
    object: `element ${elementText(set, element)} of ${set.name} of ${table}`,
    problem,
  }));
}

/** `10.96.0.1 . 6 . 443 : 10.0.0.5 . 8443`, much as nft prints it. */
export function elementText({ key, data: dataParts }: SetDefinition, element: Element): string {
  const keyText = partsText(key, element.key);
  const { data } = element;
  if (data === undefined) return keyText;
  if (!(data instanceof Uint8Array)) return `${keyText} : ${data.kind}${'chain' in data ? ` ${data.chain}` : ''}`;
  return `${keyText} : ${partsText(Array.isArray(dataParts) ? (dataParts as readonly Part[]) : [], data)}`;
}

function partsText(parts: readonly Part[], bytes: Uint8Array): string {
  let at = 0;
  return parts
    .map((part) => {
      const length = part === 'ipv6_addr' ? 16 : 4;
      const value = Buffer.from(bytes.subarray(at, at + length));
      at += length;
      return partText(part, value);
    })
    .join(' . ');
}

function partText(part: Part, value: Buffer): string {
  switch (part) {
    case 'ipv4_addr':
    case 'ipv6_addr':
      return ipaddr.fromByteArray([...value]).toString();
    case 'inet_proto':
      return String(value[0]);
    case 'inet_service':
      return String(value.readUInt16BE());
    case 'mark':
      return String(value.readUInt32LE());
  }
}
