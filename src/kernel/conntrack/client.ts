import type { FlowScope } from '../../core/service/conntrack.ts';
import { KernelError } from '../error.ts';
import { AttributeWriter } from '../netlink/attributes.ts';
import { failure, NetlinkConnection } from '../netlink/connection.ts';
import { beginMessage, endMessage, NLM_F_ACK, NLM_F_REQUEST } from '../netlink/message.ts';
import { NETLINK_NETFILTER } from '../netlink/socket.ts';
import { writeGenericHeader } from '../netlink/transaction.ts';
import {
  CT_MSG,
  CTA,
  CTA_FILTER_ORIG_FLAGS,
  CTA_FILTER_REPLY_FLAGS,
  CTA_PROTO,
  CTA_TUPLE,
  FAMILY_NUMBERS,
  FILTER_DST_PORT,
  FILTER_PROTO_NUM,
  PROTOCOL_NUMBERS,
} from './constants.ts';
import { parseTrackedFlow, type TrackedFlow } from './tracked-flow.ts';

/** Each answer takes about a kilobyte of the receive queue, which holds 8 MiB. */
const DELETIONS_PER_DATAGRAM = 512;

export interface ConntrackOptions {
  /** Path of the network namespace to work in; default the process's own. */
  readonly netns?: string;
}

/** The connection tracking table of one network namespace. All methods throw `KernelError`. */
export class ConntrackClient {
  readonly #netns: string | undefined;
  #opened: NetlinkConnection | undefined;

  constructor({ netns }: ConntrackOptions = {}) {
    this.#netns = netns;
  }

  /** The flows in `scope`, filtered by the kernel where it can: by protocol, and by port where there is one only. */
  async list(scope: FlowScope): Promise<TrackedFlow[]> {
    const flows: TrackedFlow[] = [];
    await this.#connection().dump(
      {
        operation: 'list',
        object: `${scope.protocol} flows over ${scope.family}`,
        type: CT_MSG.GET,
        write: (writer) => writeQuery(writer, scope),
      },
      (payload) => {
        const flow = parseTrackedFlow(payload, scope);
        if (flow !== undefined) flows.push(flow);
      },
    );
    return flows;
  }

  /** Deletes these entries; one that is gone already is success. Returns how many there were to delete. */
  async delete(flows: readonly TrackedFlow[]): Promise<number> {
    let deleted = 0;
    for (let start = 0; start < flows.length; start += DELETIONS_PER_DATAGRAM) {
      deleted += await this.#deleteSome(flows.slice(start, start + DELETIONS_PER_DATAGRAM));
    }
    return deleted;
  }

  async #deleteSome(flows: readonly TrackedFlow[]): Promise<number> {
    const connection = this.#connection();
    const first = connection.reserveSequences(flows.length);
    const writer = new AttributeWriter(flows.length * 128);
    flows.forEach((flow, index) => writeDeletion(writer, flow, first + index));
    const answers = await connection.exchange(writer.bytes());
    const what = { operation: 'delete', object: `${flows.length} flows` };
    const refused = answers.find(({ errno }) => errno !== undefined && errno !== 'ENOENT');
    if (refused !== undefined) throw failure(what, refused);
    if (answers.length < flows.length) {
      throw new KernelError({ ...what, detail: `only ${answers.length} answers`, retryable: true });
    }
    return answers.filter(({ errno }) => errno === undefined).length;
  }

  /** Opened at the first use: a node without UDP Services needs none. */
  #connection(): NetlinkConnection {
    this.#opened ??= new NetlinkConnection(NETLINK_NETFILTER, this.#netns);
    return this.#opened;
  }

  close(): void {
    this.#opened?.close();
    this.#opened = undefined;
  }
}

function writeQuery(writer: AttributeWriter, { protocol, family, ports }: FlowScope): void {
  // Without a family the kernel refuses to filter (EOPNOTSUPP).
  writeGenericHeader(writer, FAMILY_NUMBERS[family]);
  const [port] = ports;
  const onlyPort = ports.size === 1 ? port : undefined;
  const tuple = writer.begin(CTA.TUPLE_ORIG, true);
  const proto = writer.begin(CTA_TUPLE.PROTO, true);
  attribute(writer, CTA_PROTO.NUM, () => writer.u8(PROTOCOL_NUMBERS[protocol]));
  if (onlyPort !== undefined) attribute(writer, CTA_PROTO.DST_PORT, () => writer.u16be(onlyPort));
  writer.end(proto);
  writer.end(tuple);
  const filter = writer.begin(CTA.FILTER, true);
  const flags = FILTER_PROTO_NUM | (onlyPort === undefined ? 0 : FILTER_DST_PORT);
  attribute(writer, CTA_FILTER_ORIG_FLAGS, () => writer.u32(flags));
  attribute(writer, CTA_FILTER_REPLY_FLAGS, () => writer.u32(0));
  writer.end(filter);
}

/** Without CTA_TUPLE_ORIG the kernel would delete every entry there is. */
function writeDeletion(writer: AttributeWriter, flow: TrackedFlow, sequence: number): void {
  if (flow.tuple.length === 0) throw new RangeError('a flow without its tuple');
  const start = beginMessage(writer, CT_MSG.DELETE, NLM_F_REQUEST | NLM_F_ACK, sequence);
  writeGenericHeader(writer, FAMILY_NUMBERS[flow.family]);
  const tuple = writer.begin(CTA.TUPLE_ORIG, true);
  writer.raw(flow.tuple);
  writer.end(tuple);
  attribute(writer, CTA.ID, () => writer.raw(flow.id));
  endMessage(writer, start);
}

function attribute(writer: AttributeWriter, type: number, write: () => void): void {
  const start = writer.begin(type, false);
  write();
  writer.end(start);
}
