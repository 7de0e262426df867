import ipaddr from 'ipaddr.js';
import type { Flow, FlowEnd, FlowScope } from '../../core/service/conntrack.ts';
import { eachAttribute, malformed } from '../netlink/attributes.ts';
import { CTA, CTA_IP, CTA_PROTO, CTA_TUPLE, FAMILY_NUMBERS, IPS_DST_NAT, PROTOCOL_NUMBERS } from './constants.ts';

/** struct nfgenmsg. */
const GENERIC_HEADER_BYTES = 4;

/**
 * A flow with what the kernel needs to delete it. The id tells it from a later flow of the same addresses, unless that
 * one got the memory of the first.
 */
export interface TrackedFlow extends Flow {
  /** Its destination is translated by a NAT rule (IPVS translates without one). */
  readonly isTranslated: boolean;
  /** Contents of CTA_TUPLE_ORIG and CTA_ID. */
  readonly tuple: Uint8Array;
  readonly id: Uint8Array;
}

interface Tuple {
  readonly protocol: number | undefined;
  readonly source: Uint8Array;
  readonly sourcePort: number;
  readonly destination: Uint8Array;
  readonly destinationPort: number;
}

/**
 * The flow in one message of a dump; undefined when it is not in `scope` (older kernels do not filter), or in a conntrack
 * zone of its own: our rules translate in the zone of everybody, and those who made another one look after it.
 */
export function parseTrackedFlow(payload: Buffer, scope: FlowScope): TrackedFlow | undefined {
  const { family } = scope;
  if (payload[0] !== FAMILY_NUMBERS[family]) return undefined;
  const attributes = new Map<number, Buffer>();
  eachAttribute(payload.subarray(GENERIC_HEADER_BYTES), (type, value) => void attributes.set(type, value));
  const original = attributes.get(CTA.TUPLE_ORIG);
  const reply = attributes.get(CTA.TUPLE_REPLY);
  const id = attributes.get(CTA.ID);
  if (original === undefined || reply === undefined || id === undefined) {
    throw malformed('a conntrack entry', 'a tuple or its id is missing');
  }
  if (attributes.has(CTA.ZONE)) return undefined;
  const asked = parseTuple(original);
  if (asked.protocol !== PROTOCOL_NUMBERS[scope.protocol] || !scope.ports.has(asked.destinationPort)) return undefined;
  const answering = parseTuple(reply);
  return {
    family,
    protocol: scope.protocol,
    destination: endOf(asked.destination, asked.destinationPort),
    answerer: endOf(answering.source, answering.sourcePort),
    isTranslated: ((attributes.get(CTA.STATUS)?.readUInt32BE() ?? 0) & IPS_DST_NAT) !== 0,
    // Copies: the receive buffer is used again.
    tuple: new Uint8Array(original),
    id: new Uint8Array(id),
  };
}

function endOf(address: Uint8Array, port: number): FlowEnd {
  const parsed = ipaddr.fromByteArray([...address]);
  return { address: parsed instanceof ipaddr.IPv4 ? parsed.toString() : parsed.toRFC5952String(), port };
}

const NOTHING = new Uint8Array();

function parseTuple(bytes: Buffer): Tuple {
  let source: Uint8Array = NOTHING;
  let destination: Uint8Array = NOTHING;
  let protocol: number | undefined;
  let [sourcePort, destinationPort] = [0, 0];
  eachAttribute(bytes, (container, value) => {
    if (container !== CTA_TUPLE.IP && container !== CTA_TUPLE.PROTO) return;
    eachAttribute(value, (type, item) => {
      if (container === CTA_TUPLE.IP) {
        if (type === CTA_IP.V4_SRC || type === CTA_IP.V6_SRC) source = item;
        else if (type === CTA_IP.V4_DST || type === CTA_IP.V6_DST) destination = item;
      } else if (type === CTA_PROTO.NUM) protocol = item[0];
      else if (type === CTA_PROTO.SRC_PORT) sourcePort = item.readUInt16BE();
      else if (type === CTA_PROTO.DST_PORT) destinationPort = item.readUInt16BE();
    });
  });
  return { protocol, source, sourcePort, destination, destinationPort };
}
