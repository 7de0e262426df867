import { createHash } from 'node:crypto';
import type { Backend, ServicePort } from '../../core/service/snapshot.ts';

/** Every chain of ours starts with it, and nothing else may: it is the mark of ownership. */
export const PREFIX = 'SWITCHYARD-';

/** nat: dispatch by VIP. */
export const SERVICES = `${PREFIX}SERVICES`;
/** nat: dispatch by NodePort; filter: refusals by NodePort. */
export const NODE_PORTS = `${PREFIX}NODEPORTS`;
export const MARK_MASQ = `${PREFIX}MARK-MASQ`;
/** nat: marks for masquerading what does not come from a pod of the cluster. */
export const MASQ_REMOTE = `${PREFIX}MASQ-REMOTE`;
export const POSTROUTING = `${PREFIX}POSTROUTING`;
/** filter: rejects and drops of new connections. */
export const REFUSE = `${PREFIX}REFUSE`;
export const FORWARD = `${PREFIX}FORWARD`;
/** filter: lets probes of healthCheckNodePorts in. */
export const HEALTH = `${PREFIX}HEALTH`;

/** Chain names hold 28 characters (XT_EXTENSION_MAXNAMELEN less the final zero): 15 of prefix and kind leave 13. */
const HASH_LENGTH = 13;
const BASE32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

/** The first 65 bits of a SHA-256 in base32. */
function hash(text: string): string {
  const digest = createHash('sha256').update(text).digest();
  let bits = 0;
  let value = 0;
  let encoded = '';
  for (const byte of digest) {
    value = ((value << 8) | byte) & 0xffff;
    bits += 8;
    while (bits >= 5 && encoded.length < HASH_LENGTH) {
      bits -= 5;
      encoded += BASE32.charAt((value >> bits) & 31);
    }
  }
  return encoded;
}

type Named = Pick<ServicePort, 'key'>;

export interface ServiceChains {
  /** Spreads over the cluster's backends. */
  readonly cluster: string;
  /** Spreads over this node's backends. */
  readonly local: string;
  /** What arrives from outside, by whatever address. */
  readonly external: string;
  /** Source ranges of load balancer VIPs. */
  readonly firewall: string;
}

export function serviceChains(servicePort: Named): ServiceChains {
  const id = hash(servicePort.key);
  return {
    cluster: `${PREFIX}SVC-${id}`,
    local: `${PREFIX}SVL-${id}`,
    external: `${PREFIX}EXT-${id}`,
    firewall: `${PREFIX}FWL-${id}`,
  };
}

export function backendChain(servicePort: Named, backend: Backend): string {
  return `${PREFIX}SEP-${hash(`${servicePort.key} ${backend.address} ${backend.port}`)}`;
}
