import { addressBits, familyOfText } from '../../core/ip.ts';
import { VIP_DEVICE } from '../../plan/kube-proxy/names.ts';
import { addressToBytes } from '../netlink/address-bytes.ts';
import type { Request } from '../netlink/connection.ts';
import { NLM_F_CREATE, NLM_F_EXCL } from '../netlink/message.ts';
import { binary, container, field, u32 } from '../netlink/schema.ts';
import { FAMILY_NUMBERS, RT_SCOPE_HOST, RTM } from './constants.ts';

/** IFA_F_NOPREFIXROUTE; with IFA_F_NODAD an address of IPv6 would get a route. */
const ADDRESS_FLAGS = 0x200;
const FOREVER = 0xffffffff;

export const addressSchema = container({
  address: field(1, binary),
  local: field(2, binary),
  cacheInfo: field(6, binary),
  flags: field(8, u32),
});

/** Puts an address on the device, or takes it away; it is chosen as source by nobody. */
export function addressRequest(
  kind: 'add' | 'delete',
  address: string,
  { index }: { readonly index: number },
): Request {
  const family = familyOfText(address);
  return {
    operation: kind,
    object: `address ${address} on ${VIP_DEVICE}`,
    type: kind === 'add' ? RTM.NEWADDR : RTM.DELADDR,
    flags: kind === 'add' ? NLM_F_CREATE | NLM_F_EXCL : 0,
    write(writer) {
      writer.u8(FAMILY_NUMBERS[family]);
      writer.u8(addressBits(family));
      writer.u8(0);
      writer.u8(family === 'IPv4' ? RT_SCOPE_HOST : 0);
      writer.u32(index);
      const bytes = addressToBytes(address);
      const lifetimes = Buffer.alloc(16);
      // Deprecated from the start, and valid for ever.
      lifetimes.writeUInt32LE(FOREVER, 4);
      const isNew = kind === 'add';
      addressSchema.encode(writer, {
        address: bytes,
        local: bytes,
        ...(isNew && family === 'IPv6' ? { cacheInfo: lifetimes } : {}),
        ...(isNew ? { flags: ADDRESS_FLAGS } : {}),
      });
    },
  };
}
