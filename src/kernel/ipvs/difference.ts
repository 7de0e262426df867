import type { Operation as RuleOperation } from '../../plan/iptables/operation.ts';
import { frontendKey, memberKey, realServerKey } from '../../plan/ipvs/objects.ts';
import type { Operation, OperationKind } from '../../plan/ipvs/operation.ts';
import type { Difference } from '../dataplane.ts';
import type { ChainDifference } from './chains.ts';

/** What it says about the kernel that this operation would be needed. */
export function differencesOf(operation: Operation): readonly Difference[] {
  // One that has retired and lost its last connection meanwhile takes no packets.
  if (operation.kind === 'deleteRealServer' && operation.isRetired === true) return [];
  const isMissing = operation.kind === 'putServer' && operation.isNew === true;
  return [{ object: objectOf(operation), problem: isMissing ? 'missing' : PROBLEMS[operation.kind] }];
}

const PROBLEMS: Readonly<Record<OperationKind, Difference['problem']>> = {
  createSet: 'missing',
  addMember: 'missing',
  putServer: 'changed',
  putRealServer: 'missing',
  bindAddress: 'missing',
  retireRealServer: 'unexpected',
  deleteRealServer: 'unexpected',
  deleteServer: 'unexpected',
  deleteMember: 'unexpected',
  unbindAddress: 'unexpected',
  destroySet: 'unexpected',
};

function objectOf(operation: Operation): string {
  if ('realServer' in operation) return realServerOf(operation);
  if ('server' in operation) return `virtual server ${frontendKey(operation.server)}`;
  if ('address' in operation) return `local route to ${operation.address}`;
  if ('member' in operation) return `${memberKey(operation.member)} in ipset ${operation.set}`;
  return `ipset ${operation.kind === 'createSet' ? operation.set.name : operation.set}`;
}

function realServerOf(operation: Extract<Operation, { readonly realServer: unknown }>): string {
  return `real server ${realServerKey(operation.realServer)} of virtual server ${frontendKey(operation.server)}`;
}

export function ruleDifferencesOf({ family, operations }: ChainDifference): readonly Difference[] {
  const tool = family === 'IPv4' ? 'iptables' : 'ip6tables';
  return operations.map((operation) => ({
    object: `${tool} ${describeRule(operation)}`,
    problem: problemOf(operation),
  }));
}

function describeRule(operation: RuleOperation): string {
  switch (operation.kind) {
    case 'writeChain':
      return `${operation.table} chain ${operation.name} (${operation.about})`;
    case 'removeChain':
      return `${operation.table} chain ${operation.chain}`;
    case 'insertRule':
    case 'deleteRule':
      return `${operation.table} rule -A ${operation.chain} ${operation.rule}`;
  }
}

function problemOf({ kind }: RuleOperation): Difference['problem'] {
  if (kind === 'writeChain') return 'changed';
  return kind === 'insertRule' ? 'missing' : 'unexpected';
}
