import type { ServicePort } from '../../../src/core/snapshot.ts';
import type { RulesOptions } from './iptables-rules.ts';

/** kube-proxy in IPVS mode. */
export class IpvsRules {
  constructor(_options: RulesOptions) {
    throw new Error('not here');
  }

  sync(_all: readonly ServicePort[]): Promise<void> {
    return Promise.resolve();
  }
}
