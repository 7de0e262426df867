import type { AddressFamily } from '../../plan/nftables/expression.ts';
import type { Element, Operation, Rule, TableName } from '../../plan/nftables/objects.ts';
import { NetlinkConnection } from '../netlink/connection.ts';
import type { Request } from '../netlink/connection.ts';
import type { Codec } from '../netlink/schema.ts';
import { NETLINK_NETFILTER } from '../netlink/socket.ts';
import { sendTransaction, writeGenericHeader } from '../netlink/transaction.ts';
import { FAMILY_NUMBERS, nameOf, NFNL_SUBSYS_NFTABLES, NFT_MSG } from './constants.ts';
import { decodeExpression } from './expressions.ts';
import type { DataValues, SetValues } from './objects.ts';
import { chainSchema, elementListSchema, generationSchema, ruleSchema, setSchema, tableSchema } from './objects.ts';
import { encodeOperation } from './operations.ts';
import { decodeComment } from './userdata.ts';
import { decodeVerdict } from './verdict.ts';

/** Every nfnetlink message starts with struct nfgenmsg. */
const GENERIC_HEADER_BYTES = 4;

export type ObservedChain = ReturnType<typeof chainSchema.decode>;
export interface ObservedElement extends Element {
  /** Also where the element has no timeout of its own, but its set's; absent where neither has one. */
  readonly remainingMs?: number;
}
export interface ObservedRule {
  readonly chain: string;
  readonly rule: Rule;
  /** By which the kernel names it; 0 where it does not say. */
  readonly handle: bigint;
}

/** nf_tables of one network namespace. All methods throw `KernelError`; listing what is not there gives nothing. */
export class NftablesClient {
  readonly #connection: NetlinkConnection;

  constructor(netnsPath?: string) {
    this.#connection = new NetlinkConnection(NETLINK_NETFILTER, netnsPath);
  }

  /**
   * All of `operations` or none, in one instant for the packets. With `generation` the kernel refuses (ERESTART,
   * retryable) when anybody changed anything since.
   */
  async apply(operations: readonly Operation[], generation?: number): Promise<void> {
    const requests = operations.flatMap(encodeOperation);
    await sendTransaction(this.#connection, requests, { subsystem: NFNL_SUBSYS_NFTABLES, generation });
  }

  /** Changes with every committed transaction, ours or not. */
  async generation(): Promise<number> {
    const messages = await this.#connection.request({
      operation: 'read',
      object: 'the ruleset generation',
      type: NFT_MSG.GETGEN,
      write: (writer) => writeGenericHeader(writer, 0),
    });
    const [first] = messages;
    return first === undefined ? 0 : (generationSchema.decode(first.payload.subarray(GENERIC_HEADER_BYTES)).id ?? 0);
  }

  /** The tables of every family that we speak. */
  async listTables(): Promise<TableName[]> {
    const tables = await this.#connection.dump(
      { operation: 'list', object: 'tables', type: NFT_MSG.GETTABLE, write: (writer) => writeGenericHeader(writer, 0) },
      (payload) => ({
        family: nameOf(FAMILY_NUMBERS, payload[0]),
        name: tableSchema.decode(payload.subarray(GENERIC_HEADER_BYTES)).name ?? '',
      }),
    );
    return tables.flatMap(({ family, name }) => (family === undefined ? [] : [{ family, name }]));
  }

  /** The kernel lists the chains of all tables of the family; those of others are dropped here. */
  async listChains(table: TableName): Promise<ObservedChain[]> {
    const chains = await this.#list(table, 'chains', NFT_MSG.GETCHAIN, chainSchema);
    return chains.filter((chain) => chain.table === table.name);
  }

  async listSets(table: TableName): Promise<SetValues[]> {
    const sets = await this.#list(table, 'sets', NFT_MSG.GETSET, setSchema);
    return sets.filter((set) => set.table === table.name);
  }

  /** In the order in which packets meet them, chain by chain. */
  async listRules(table: TableName): Promise<ObservedRule[]> {
    const rules = await this.#list(table, 'rules', NFT_MSG.GETRULE, ruleSchema);
    return rules
      .filter((rule) => rule.table === table.name)
      .map(({ chain = '', expressions = [], userdata, handle = 0n }) => {
        const comment = userdata === undefined ? undefined : decodeComment(userdata);
        return { chain, handle, rule: { expressions: expressions.map(decodeExpression), comment } };
      });
  }

  async listElements(table: TableName, set: string): Promise<ObservedElement[]> {
    const lists = await this.#connection.dump(
      this.#listRequest(table, `set ${set}`, NFT_MSG.GETSETELEM, (writer) =>
        elementListSchema.encode(writer, { table: table.name, set }),
      ),
      (payload) => elementListSchema.decode(payload.subarray(GENERIC_HEADER_BYTES)).elements ?? [],
    );
    return lists.flat().map(({ key, keyEnd, data, timeoutMs, expirationMs, counter }) => ({
      key: key?.value ?? new Uint8Array(),
      ...(keyEnd?.value === undefined ? {} : { keyEnd: keyEnd.value }),
      ...decodeElementData(data),
      ...(counter?.data === undefined
        ? {}
        : { counter: { packets: Number(counter.data.packets ?? 0n), bytes: Number(counter.data.bytes ?? 0n) } }),
      ...(timeoutMs === undefined || expirationMs === undefined
        ? {}
        : { lifetime: { timeoutMs: Number(timeoutMs), remainingMs: Number(expirationMs) } }),
      ...(expirationMs === undefined ? {} : { remainingMs: Number(expirationMs) }),
    }));
  }

  #list<T>(table: TableName, object: string, type: number, schema: Codec<T>): Promise<T[]> {
    const request = this.#listRequest(table, object, type, (writer) => {
      // Attribute 1 names the table in every one of these lists; kernels that do not filter by it ignore it.
      tableSchema.encode(writer, { name: table.name });
    });
    return this.#connection.dump(request, (payload) => schema.decode(payload.subarray(GENERIC_HEADER_BYTES)));
  }

  #listRequest(table: TableName, object: string, type: number, write: Request['write']): Request {
    return {
      operation: 'list',
      object: `${object} of table ${table.family} ${table.name}`,
      type,
      write(writer) {
        writeGenericHeader(writer, familyNumber(table.family));
        write(writer);
      },
    };
  }

  close(): void {
    this.#connection.close();
  }
}

function familyNumber(family: AddressFamily): number {
  return FAMILY_NUMBERS[family];
}

function decodeElementData(data: DataValues | undefined): Pick<Element, 'data'> {
  if (data?.value !== undefined) return { data: data.value };
  const verdict = decodeVerdict(data);
  return verdict === undefined ? {} : { data: verdict };
}
