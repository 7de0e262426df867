import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { renderedConfig } from '../../../../src/core/api/node-proxy-state.ts';
import { resolveOptions } from '../../../../src/core/service/dataplane-options.ts';

const NETWORK = {
  families: ['IPv4'],
  podCIDRs: [],
  primaryAddresses: [],
  localAddresses: [],
  serviceCIDRs: [],
} as const;
const optionsOf = (mode: 'ipvs' | 'nftables', ipvs: object = {}) =>
  resolveOptions(renderedConfig.parse({ mode, ipvs }), NETWORK).ipvs;

describe('what a profile says of IPVS', () => {
  it('is kube-proxy’s when it says nothing', () => {
    const timeouts = { tcpSeconds: 0, tcpFinSeconds: 0, udpSeconds: 0 };
    assert.deepEqual(optionsOf('ipvs'), { scheduler: 'rr', timeouts });
  });

  it('is a scheduler that Linux has, and timeouts in whole seconds that the kernel takes', () => {
    const told = { scheduler: 'wlc', tcpTimeout: '15m', tcpFinTimeout: '1500ms', udpTimeout: '87600h' };
    assert.deepEqual(optionsOf('ipvs', told), {
      scheduler: 'wlc',
      timeouts: { tcpSeconds: 900, tcpFinSeconds: 2, udpSeconds: 2_000_000 },
    });
    assert.throws(() => optionsOf('ipvs', { scheduler: 'best' }), /scheduler/);
  });

  it('does not concern other modes, so that they write nothing when it changes', () => {
    assert.equal(optionsOf('nftables', { scheduler: 'wlc' }), undefined);
  });
});
