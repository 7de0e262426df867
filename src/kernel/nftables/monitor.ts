import { isOwnPort } from '../netlink/own-ports.ts';
import { NETLINK_NETFILTER } from '../netlink/socket.ts';
import { NetlinkSubscription } from '../netlink/subscription.ts';
import { align, eachAttribute } from '../netlink/attributes.ts';
import type { Message } from '../netlink/message.ts';
import { FAMILY_NUMBERS, NFNL_SUBSYS_NFTABLES, NFT_MSG } from './constants.ts';

/** NFNLGRP_NFTABLES (linux/netfilter/nfnetlink.h) */
const GROUP_NFTABLES = 7;
/** struct nfgenmsg: family, version, resource id. */
const GENERIC_HEADER_BYTES = 4;
/** In the messages of every kind of object, attribute 1 is the table's name. */
const ATTRIBUTE_TABLE = 1;
/** The mark of our chains, as the kernel writes names: in plain letters. */
const OWN_CHAIN = /SWITCHYARD-[A-Z0-9-]+/;
/** NFTA_RULE_CHAIN, NFTA_RULE_EXPRESSIONS; NFTA_CHAIN_NAME */
const ATTRIBUTE_RULE_CHAIN = 2;
const ATTRIBUTE_RULE_EXPRESSIONS = 4;
const ATTRIBUTE_CHAIN_NAME = 3;

const NEW_GENERATION = (NFNL_SUBSYS_NFTABLES << 8) | NFT_MSG.NEWGEN;
const REMOVALS: readonly number[] = [
  NFT_MSG.DELTABLE,
  NFT_MSG.DELCHAIN,
  NFT_MSG.DELRULE,
  NFT_MSG.DELSET,
  NFT_MSG.DELSETELEM,
];
const FAMILIES = new Map<number, 'ip' | 'ip6'>([
  [FAMILY_NUMBERS.ip, 'ip'],
  [FAMILY_NUMBERS.ip6, 'ip6'],
]);

/** A change of an nftables object that another process made; iptables-nft makes such changes too. */
export interface ForeignChange {
  readonly family: 'ip' | 'ip6';
  readonly table: string;
  /** Of a rule or chain; undefined for tables, sets and elements. */
  readonly chain: string | undefined;
  readonly isRemoval: boolean;
  /** The chain of ours that the rule names, for rules of iptables-nft. */
  readonly ownChain?: string;
}

/**
 * Tells of every change to tables of the families ip and ip6 that another process makes in this network namespace, as
 * soon as the kernel has committed it; of `undefined` when the kernel had to drop notifications. What our own sockets
 * change, and the programs that we run, is left out. Changes of one transaction, which were made all at once, have one number. Returns when `signal` aborts. Throws `KernelError`.
 */
export async function watchForeignChanges(
  onChange: (change: ForeignChange | undefined, transaction: number) => void,
  signal: AbortSignal,
  netnsPath?: string,
): Promise<void> {
  const subscription = new NetlinkSubscription(NETLINK_NETFILTER, [GROUP_NFTABLES], netnsPath);
  let transaction = 0;
  await subscription.listen((messages) => {
    if (messages === undefined) {
      transaction += 1;
      onChange(undefined, transaction);
      return;
    }
    for (const message of messages) {
      const change = isOwnPort(message.portId) ? undefined : parseChange(message);
      if (change !== undefined) onChange(change, transaction);
      // The kernel ends each transaction with the number of the generation that it began.
      if (message.type === NEW_GENERATION) transaction += 1;
    }
  }, signal);
}

function parseChange({ type, payload }: Message): ForeignChange | undefined {
  const family = FAMILIES.get(payload[0] ?? 0);
  if (type >> 8 !== NFNL_SUBSYS_NFTABLES || family === undefined) return undefined;
  let table = '';
  let chain: string | undefined;
  let ownChain: string | undefined;
  const isRule = type === NFT_MSG.NEWRULE || type === NFT_MSG.DELRULE;
  const isChain = type === NFT_MSG.NEWCHAIN || type === NFT_MSG.DELCHAIN;
  eachAttribute(payload.subarray(align(GENERIC_HEADER_BYTES)), (attribute, value) => {
    const text = () => value.toString('utf8').replace(/\0+$/, '');
    if (attribute === ATTRIBUTE_TABLE) table = text();
    if ((isRule && attribute === ATTRIBUTE_RULE_CHAIN) || (isChain && attribute === ATTRIBUTE_CHAIN_NAME))
      chain = text();
    if (isRule && attribute === ATTRIBUTE_RULE_EXPRESSIONS) ownChain = OWN_CHAIN.exec(value.toString('latin1'))?.[0];
  });
  const change = { family, table, chain, isRemoval: REMOVALS.includes(type) };
  if (table === '') return undefined;
  return ownChain === undefined ? change : { ...change, ownChain };
}
