import type { AttributeWriter } from './attributes.ts';
import type { NetlinkConnection, Request } from './connection.ts';
import { container, field, text, u16 } from './schema.ts';

/** linux/netlink.h, linux/genetlink.h */
export const NETLINK_GENERIC = 16;
/** struct genlmsghdr: command, version, two reserved bytes. */
export const GENERIC_NETLINK_HEADER_BYTES = 4;
const GENL_ID_CTRL = 0x10;
const CTRL_CMD_GETFAMILY = 3;
const CTRL_VERSION = 1;

const controlSchema = container({ id: field(1, u16), name: field(2, text) });

export function writeGenericNetlinkHeader(writer: AttributeWriter, command: number, version: number): void {
  writer.u8(command);
  writer.u8(version);
  writer.u16(0);
}

/**
 * The message type of a generic netlink family. The kernel loads the module that brings it where it can; throws
 * `KernelError` with ENOENT where it cannot.
 */
export async function resolveFamily(connection: NetlinkConnection, name: string): Promise<number> {
  const request: Request = {
    operation: 'look up',
    object: `the generic netlink family ${name}`,
    type: GENL_ID_CTRL,
    write(writer) {
      writeGenericNetlinkHeader(writer, CTRL_CMD_GETFAMILY, CTRL_VERSION);
      controlSchema.encode(writer, { name });
    },
  };
  const [answer] = await connection.request(request);
  return controlSchema.decode(answer?.payload.subarray(GENERIC_NETLINK_HEADER_BYTES) ?? Buffer.alloc(0)).id ?? 0;
}
