import { NetlinkConnection } from '../../src/kernel/netlink/connection.ts';
import { NETLINK_NETFILTER } from '../../src/kernel/netlink/socket.ts';
import { writeGenericHeader } from '../../src/kernel/netlink/transaction.ts';

/** linux/netfilter/nfnetlink_queue.h */
const NFNL_SUBSYS_QUEUE = 3;
const MESSAGE = { config: (NFNL_SUBSYS_QUEUE << 8) | 2, verdictBatch: (NFNL_SUBSYS_QUEUE << 8) | 3 };
const NFQA_CFG_CMD = 1;
const NFQA_CFG_PARAMS = 2;
const NFQA_VERDICT_HDR = 2;
const NFQNL_CFG_CMD_BIND = 1;
const NFQNL_COPY_META = 1;
const NF_ACCEPT = 1;
/** Ids count up from 1. */
const ALL = 0x7fffffff;

/** Holds packets that a rule sends to the queue until they are let go, all at once: a delay as only a race has it. */
export class PacketQueue {
  readonly #connection: NetlinkConnection;
  readonly #number: number;

  private constructor(connection: NetlinkConnection, number: number) {
    this.#connection = connection;
    this.#number = number;
  }

  static async open(netns: string, number: number): Promise<PacketQueue> {
    const queue = new PacketQueue(new NetlinkConnection(NETLINK_NETFILTER, netns), number);
    await queue.#tell('bind', MESSAGE.config, NFQA_CFG_CMD, Buffer.from([NFQNL_CFG_CMD_BIND, 0, 0, 0]));
    await queue.#tell('set up', MESSAGE.config, NFQA_CFG_PARAMS, Buffer.from([0, 0, 0, 0, NFQNL_COPY_META]));
    return queue;
  }

  /** Lets go what waits, in the order in which it came. */
  async release(): Promise<void> {
    const verdict = Buffer.alloc(8);
    verdict.writeUInt32BE(NF_ACCEPT);
    verdict.writeUInt32BE(ALL, 4);
    await this.#tell('release', MESSAGE.verdictBatch, NFQA_VERDICT_HDR, verdict);
  }

  async #tell(...[operation, type, attribute, value]: [string, number, number, Buffer]): Promise<void> {
    await this.#connection.request({
      operation,
      object: `queue ${this.#number}`,
      type,
      write: (writer) => {
        writeGenericHeader(writer, 0, this.#number);
        const start = writer.begin(attribute, false);
        writer.raw(value);
        writer.end(start);
      },
    });
  }

  /** What still waits is dropped. */
  close(): void {
    this.#connection.close();
  }
}
