import { join, numberBytes } from './bytes.ts';
import type { Expression, Word } from './expression.ts';
import type { FamilyLayout } from './layout.ts';

export function loadAddress(layout: FamilyLayout, which: 'saddr' | 'daddr', to: Word): Expression {
  const offset = which === 'saddr' ? layout.saddrOffset : layout.daddrOffset;
  return { kind: 'payload', base: 'network', offset, length: layout.addressBytes, to };
}

/** TCP, UDP and SCTP have it in the same place; keys hold the protocol too, so others never match. */
export function loadDestinationPort(to: Word): Expression {
  return { kind: 'payload', base: 'transport', offset: 2, length: 2, to };
}

export function loadSourcePort(to: Word): Expression {
  return { kind: 'payload', base: 'transport', offset: 0, length: 2, to };
}

/** `daddr . l4proto . dport` */
export function loadFrontend(layout: FamilyLayout, to: Word): Expression[] {
  return [loadAddress(layout, 'daddr', to), ...loadNodePort(to + layout.addressWords)];
}

/** `l4proto . dport` */
export function loadNodePort(to: Word): Expression[] {
  return [loadProtocol(to), loadDestinationPort(to + 1)];
}

/** How a frontend's objects are keyed: by address, protocol and port, or by protocol and port on any local address. */
export type KeyedBy = 'address' | 'node-port';

export function loadKey(layout: FamilyLayout, keyedBy: KeyedBy, to: Word): Expression[] {
  return keyedBy === 'node-port' ? loadNodePort(to) : loadFrontend(layout, to);
}

export function loadProtocol(to: Word): Expression {
  return { kind: 'meta', key: 'l4proto', to };
}

/** linux/rtnetlink.h */
const RTN_LOCAL = 2;

export function matchLocalSource(): Expression[] {
  return matchLocal('saddr');
}

export function matchLocalDestination(): Expression[] {
  return matchLocal('daddr');
}

/** `fib saddr type local`: one of this node's own addresses. */
function matchLocal(of: 'saddr' | 'daddr'): Expression[] {
  return [
    { kind: 'addressType', of, to: 0 },
    { kind: 'compare', from: 0, isEqual: true, value: join(numberBytes(RTN_LOCAL)) },
  ];
}
