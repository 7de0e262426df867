import ipaddr from 'ipaddr.js';
import { parseAddress, type Family } from '../../core/ip.ts';
import type { LiveTraceRequest } from '../../core/node/live-trace.ts';
import type { Expression } from '../../plan/nftables/expression.ts';
import { LAYOUTS } from '../../plan/nftables/layout.ts';
import { loadAddress, loadDestinationPort, loadProtocol } from '../../plan/nftables/load.ts';
import type { BaseChain, Operation, TableName } from '../../plan/nftables/objects.ts';
import { isNotFound, KernelError } from '../error.ts';
import { NetlinkConnection, type Request } from '../netlink/connection.ts';
import { encodeToBytes, container, field, u32be, u64be } from '../netlink/schema.ts';
import { NETLINK_NETFILTER } from '../netlink/socket.ts';
import { sendTransaction } from '../netlink/transaction.ts';
import { NftablesClient } from './client.ts';
import { NFNL_SUBSYS_NFTABLES, NFT_MSG } from './constants.ts';
import { immediateSchema, metaSchema } from './expression-schemas.ts';
import { messageFor } from './message.ts';
import { tableSchema } from './objects.ts';
import { encodeOperation } from './operations.ts';
import { registerOf } from './register.ts';

export const TRACE_TABLE = 'switchyard-trace';
/** Before NF_IP_PRI_RAW_BEFORE_DEFRAG (-450) and everything else that decides: the earliest that a priority can be. */
const FIRST_PRIORITY = -500;
/** Since Linux 5.12 the kernel takes the table out when the socket that made it closes, also by the death of its process. */
const NFT_TABLE_F_OWNER = 0x2;
/** NFT_META_NFTRACE */
const META_NFTRACE = 12;
/** Packets a second whose way is told of: each is some dozen messages. */
const RATE = 20n;
const PROTOCOL_NUMBERS = { TCP: 6, UDP: 17, SCTP: 132 } as const;
/** Offset of the flags in the header of TCP; of them, SYN and ACK. */
const TCP_FLAGS_OFFSET = 13;
const [SYN, SYN_AND_ACK] = [0x02, 0x12];

/** NFTA_LIMIT_* */
const limitSchema = container({ rate: field(1, u64be), unitSeconds: field(2, u64be), burst: field(3, u32be) });

export type TraceMatch = Pick<LiveTraceRequest, 'protocol' | 'destination' | 'port' | 'source'>;

function familyOf({ destination }: TraceMatch): Family {
  return parseAddress(destination).family;
}

function addressIs(family: Family, which: 'saddr' | 'daddr', text: string): Expression[] {
  const value = Uint8Array.from(ipaddr.parse(text).toByteArray());
  return [loadAddress(LAYOUTS[family], which, 0), { kind: 'compare', from: 0, isEqual: true, value }];
}

/** What only the first packet of a TCP connection has; of UDP there is no telling. */
const IS_SYN: readonly Expression[] = [
  { kind: 'payload', base: 'transport', offset: TCP_FLAGS_OFFSET, length: 1, to: 0 },
  { kind: 'bitwise', from: 0, to: 0, mask: Uint8Array.of(SYN_AND_ACK), xor: Uint8Array.of(0) },
  { kind: 'compare', from: 0, isEqual: true, value: Uint8Array.of(SYN) },
];

function traceRule(match: TraceMatch): readonly Expression[] {
  const family = familyOf(match);
  const portBytes = Uint8Array.of(match.port >> 8, match.port & 0xff);
  const register = registerOf(0);
  return [
    loadProtocol(0),
    { kind: 'compare', from: 0, isEqual: true, value: Uint8Array.of(PROTOCOL_NUMBERS[match.protocol]) },
    ...addressIs(family, 'daddr', match.destination),
    ...(match.source === undefined ? [] : addressIs(family, 'saddr', match.source)),
    loadDestinationPort(0),
    { kind: 'compare', from: 0, isEqual: true, value: portBytes },
    ...(match.protocol === 'TCP' ? IS_SYN : []),
    { kind: 'unknown', name: 'limit', bytes: encodeToBytes(limitSchema, { rate: RATE, unitSeconds: 1n, burst: 20 }) },
    {
      kind: 'unknown',
      name: 'immediate',
      bytes: encodeToBytes(immediateSchema, { to: register, data: { value: Uint8Array.of(1) } }),
    },
    { kind: 'unknown', name: 'meta', bytes: encodeToBytes(metaSchema, { key: META_NFTRACE, from: register }) },
  ];
}

/** The table that makes the kernel tell of packets; it stands until `close`, or until this process is gone. */
export class TraceTable {
  readonly #connection: NetlinkConnection;
  readonly #table: TableName;

  private constructor(connection: NetlinkConnection, table: TableName) {
    this.#connection = connection;
    this.#table = table;
  }

  /** Throws `KernelError`. Only one stands at a time; an older one of this process is in the way (EEXIST or EPERM). */
  static async open(match: TraceMatch, netns?: string): Promise<TraceTable> {
    const table: TableName = { family: LAYOUTS[familyOf(match)].table, name: TRACE_TABLE };
    const connection = new NetlinkConnection(NETLINK_NETFILTER, netns);
    const opened = new TraceTable(connection, table);
    try {
      await opened.#create(match, NFT_TABLE_F_OWNER).catch((error: unknown) => {
        // Older kernels know of no owner: there the table is swept at the next start, if it comes to that.
        if (error instanceof KernelError && ['EOPNOTSUPP', 'EINVAL'].includes(error.errno ?? '')) {
          return opened.#create(match, 0);
        }
        throw error;
      });
      return opened;
    } catch (error) {
      connection.close();
      throw error;
    }
  }

  async #create(match: TraceMatch, flags: number): Promise<void> {
    const table = this.#table;
    const about = { operation: 'add table', object: 'all', type: NFT_MSG.NEWTABLE, flags: NLM_F_CREATE_EXCL };
    const chains = (['prerouting', 'output'] as const).map((hook): Operation[] => {
      const base: BaseChain = { type: 'filter', hook, priority: FIRST_PRIORITY };
      return [
        { kind: 'addChain', table, chain: { name: hook, base } },
        { kind: 'addRule', table, chain: hook, rule: { expressions: traceRule(match) } },
      ];
    });
    const requests: Request[] = [
      messageFor(table, about, tableSchema, { name: table.name, flags }),
      ...chains.flat().flatMap(encodeOperation),
    ];
    await sendTransaction(this.#connection, requests, { subsystem: NFNL_SUBSYS_NFTABLES });
  }

  /** Never throws: with the socket goes the table, where the kernel is not too old. */
  async close(): Promise<void> {
    try {
      const requests = encodeOperation({ kind: 'deleteTable', table: this.#table });
      await sendTransaction(this.#connection, requests, { subsystem: NFNL_SUBSYS_NFTABLES });
    } catch {
      // It is gone already, or `sweepTraceTables` takes it.
    } finally {
      this.#connection.close();
    }
  }
}

/** NLM_F_CREATE and NLM_F_EXCL */
const NLM_F_CREATE_EXCL = 0x600;

/** Removes what an agent that is gone has left. Throws `KernelError`. */
export async function sweepTraceTables(netns?: string): Promise<void> {
  const client = new NftablesClient(netns);
  try {
    const left = (await client.listTables()).filter(({ name }) => name === TRACE_TABLE);
    for (const table of left) await client.apply([{ kind: 'deleteTable', table }]);
  } catch (error) {
    if (!isNotFound(error)) throw error;
  } finally {
    client.close();
  }
}
