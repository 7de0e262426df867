import { FAMILIES, type Family } from '../../core/ip.ts';
import { memberKey, type SetMember } from '../../plan/ipvs/objects.ts';
import type { SetOperation } from '../../plan/ipvs/operation.ts';
import { SET_TYPES, setDefinition, type SetDefinition } from '../../plan/ipvs/sets.ts';
import { KernelError } from '../error.ts';
import { failure, NetlinkConnection, type Request } from '../netlink/connection.ts';
import { sendAll } from '../netlink/pipeline.ts';
import type { Codec } from '../netlink/schema.ts';
import { NETLINK_NETFILTER } from '../netlink/socket.ts';
import { writeGenericHeader } from '../netlink/transaction.ts';
import { ipsetErrno } from './error.ts';
import { decodeMember, encodeMember } from './member.ts';
import {
  changeSchema,
  createSchema,
  IPSET_CMD,
  IPSET_FLAG_LIST_HEADER,
  IPSET_PROTOCOL,
  listSchema,
  NFNL_SUBSYS_IPSET,
} from './schema.ts';

const GENERIC_HEADER_BYTES = 4;
const AF_INET = 2;
const FAMILY_NUMBERS: Readonly<Record<Family, number>> = { IPv4: AF_INET, IPv6: 10 };
const FIRST_SIZE = 1024;
/** The kernel's default of 65,536 is too few for a large cluster; room that is not used costs nothing. */
const MAX_ELEMENTS = 4_194_304;
const LAST_PORT = 65_535;

/** ipset of one network namespace. All methods throw `KernelError`. */
export class IpsetClient {
  readonly #connection: NetlinkConnection;
  readonly #revisions = new Map<string, number>();

  constructor(netnsPath?: string) {
    this.#connection = new NetlinkConnection(NETLINK_NETFILTER, netnsPath);
  }

  /** The sets that there are, whoever made them, without their members; those of types that we do not use are left out. */
  async listSets(): Promise<SetDefinition[]> {
    const sets = await this.#listHeaders();
    return sets.flatMap(({ name = '', type, family }) => {
      const known = SET_TYPES.find((one) => one === type);
      // A set of ports is of no family in the kernel; the name tells which of ours it is.
      const ofFamily = FAMILIES.find((one) => FAMILY_NUMBERS[one] === family) ?? setDefinition(name)?.family ?? 'IPv4';
      return known === undefined ? [] : [{ name, type: known, family: ofFamily }];
    });
  }

  /** How many members each set has, by name; undefined where the kernel does not tell. */
  async listSizes(): Promise<ReadonlyMap<string, number | undefined>> {
    return new Map((await this.#listHeaders()).map(({ name = '', data }) => [name, data?.elements]));
  }

  #listHeaders(): Promise<ReturnType<typeof listSchema.decode>[]> {
    return this.#connection.dump(
      ipsetRequest('LIST', 'all sets', listSchema, { protocol: IPSET_PROTOCOL, flags: IPSET_FLAG_LIST_HEADER }),
      (payload) => listSchema.decode(payload.subarray(GENERIC_HEADER_BYTES)),
    );
  }

  /** Throws (ENOENT) when there is no such set. */
  async listMembers(set: string): Promise<SetMember[]> {
    const lists = await this.#connection.dump(
      ipsetRequest('LIST', `set ${set}`, listSchema, { protocol: IPSET_PROTOCOL, name: set }),
      (payload) => listSchema.decode(payload.subarray(GENERIC_HEADER_BYTES)).members ?? [],
    );
    return lists.flat().map(decodeMember);
  }

  /**
   * Does them in this order, each by itself. A member that is there already, or gone already, is success. Throws about the
   * first that was refused; those after it may have been done. Doing the same again is safe.
   */
  async apply(operations: readonly SetOperation[]): Promise<void> {
    const requests: Request[] = [];
    for (const operation of operations) requests.push(await this.#encode(operation));
    const refusals = await sendAll(this.#connection, requests);
    requests.forEach((request, index) => {
      const refusal = refusals[index];
      const errno = ipsetErrno(refusal?.errno);
      const isGone = operations[index]?.kind === 'destroySet' && errno === 'ENOENT';
      if (refusal !== undefined && !isGone) throw failure(request, { ...refusal, errno });
    });
  }

  /** Exchanges what the two sets hold, in one instant. They must be of one type and family. */
  async swap(set: string, other: string): Promise<void> {
    await this.#change('SWAP', { name: set, otherName: other });
  }

  async flush(set: string): Promise<void> {
    await this.#change('FLUSH', { name: set });
  }

  close(): void {
    this.#connection.close();
  }

  async #change(
    command: 'SWAP' | 'FLUSH',
    values: { readonly name: string; readonly otherName?: string },
  ): Promise<void> {
    const request = ipsetRequest(command, `set ${values.name}`, changeSchema, { protocol: IPSET_PROTOCOL, ...values });
    const [refusal] = await sendAll(this.#connection, [request]);
    if (refusal !== undefined) throw failure(request, { ...refusal, errno: ipsetErrno(refusal.errno) });
  }

  async #encode(operation: SetOperation): Promise<Request> {
    const protocol = IPSET_PROTOCOL;
    switch (operation.kind) {
      case 'createSet':
        return this.#encodeCreation(operation.set);
      case 'destroySet':
        return ipsetRequest('DESTROY', `set ${operation.set}`, changeSchema, { protocol, name: operation.set });
      case 'addMember':
      case 'deleteMember': {
        const { set: name, member } = operation;
        const command = operation.kind === 'addMember' ? 'ADD' : 'DEL';
        const about = `${memberKey(member)} in set ${name}`;
        return ipsetRequest(command, about, changeSchema, { protocol, name, data: encodeMember(member) });
      }
    }
  }

  async #encodeCreation({ name, type, family }: SetDefinition): Promise<Request> {
    const isBitmap = type === 'bitmap:port';
    return ipsetRequest('CREATE', `set ${name}`, createSchema, {
      protocol: IPSET_PROTOCOL,
      name,
      type,
      revision: await this.#revision(type, family),
      family: isBitmap ? 0 : FAMILY_NUMBERS[family],
      data: isBitmap ? { port: 0, portTo: LAST_PORT } : { hashSize: FIRST_SIZE, maxElements: MAX_ELEMENTS },
    });
  }

  /** A set is made in one of the revisions that the kernel's type has; this is the newest. */
  async #revision(type: string, family: Family): Promise<number> {
    const known = this.#revisions.get(type);
    if (known !== undefined) return known;
    const request = ipsetRequest('TYPE', `set type ${type}`, createSchema, {
      protocol: IPSET_PROTOCOL,
      type,
      family: type === 'bitmap:port' ? 0 : FAMILY_NUMBERS[family],
    });
    const [answer] = await this.#connection.request(request).catch((error: unknown) => {
      throw error instanceof KernelError ? withIpsetErrno(error) : error;
    });
    const revision =
      createSchema.decode(answer?.payload.subarray(GENERIC_HEADER_BYTES) ?? Buffer.alloc(0)).revision ?? 0;
    this.#revisions.set(type, revision);
    return revision;
  }
}

function withIpsetErrno({ operation, object, errno, retryable }: KernelError): KernelError {
  return new KernelError({ operation, object, errno: ipsetErrno(errno), retryable });
}

function ipsetRequest<T>(command: keyof typeof IPSET_CMD, about: string, schema: Codec<T>, values: T): Request {
  return {
    operation: `ipset ${command}`,
    object: about,
    type: (NFNL_SUBSYS_IPSET << 8) | IPSET_CMD[command],
    write(writer) {
      writeGenericHeader(writer, AF_INET);
      schema.encode(writer, values);
    },
  };
}
