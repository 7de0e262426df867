import type { Operation } from '../../plan/nftables/objects.ts';
import type { Request } from '../netlink/connection.ts';
import { NLM_F_APPEND, NLM_F_CREATE } from '../netlink/message.ts';
import { HOOK_NUMBERS, NFT_MSG } from './constants.ts';
import { encodeElements } from './element-messages.ts';
import { encodeExpression } from './expressions.ts';
import { messageFor } from './message.ts';
import type { OperationOf } from './message.ts';
import { chainSchema, ruleSchema, setSchema, tableSchema } from './objects.ts';
import { describeSet } from './set-parts.ts';
import { encodeComment } from './userdata.ts';

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
