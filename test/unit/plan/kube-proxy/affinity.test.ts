import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import { endpointChain, parseAffinitySet } from '../../../../src/plan/kube-proxy/affinity.ts';

/** RFC 4648, as far as the test needs it, written in another way than the code. */
function base32(bytes: Uint8Array): string {
  const bits = [...bytes].map((byte) => byte.toString(2).padStart(8, '0')).join('');
  return (bits.match(/.{5}/g) ?? [])
    .map((five) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'[Number.parseInt(five, 2)])
    .join('');
}

describe('what kube-proxy remembers of clients', () => {
  it('is in lists that are named after the first 16 characters of a hash in base32', () => {
    for (const text of ['default/webtcp10.0.0.1:80', 'default/web:httptcp[fd00::1]:8080', '']) {
      const hash = createHash('sha256').update(text).digest();
      assert.equal(endpointChain(hash), `KUBE-SEP-${base32(hash).slice(0, 16)}`);
    }
  });

  const SETS = [
    {
      name: 'affinity-ULMVA6XW-ns1/svc1/tcp/p80__10.180.0.1/80',
      isIPv6: false,
      expected: {
        namespace: 'ns1',
        name: 'svc1',
        protocol: 'TCP',
        portName: 'p80',
        backend: { address: '10.180.0.1', port: 80 },
      },
    },
    {
      name: 'affinity-ULMVA6XW-ns1/svc1/udp/__fd00.10.180..1/53',
      isIPv6: true,
      expected: {
        namespace: 'ns1',
        name: 'svc1',
        protocol: 'UDP',
        portName: '',
        backend: { address: 'fd00:10:180::1', port: 53 },
      },
    },
    { name: 'cluster-ips', isIPv6: false, expected: undefined },
    { name: 'affinity-x', isIPv6: false, expected: undefined },
  ] as const;
  for (const { name, isIPv6, expected } of SETS) {
    it(`is in the set ${name}: ${expected === undefined ? 'not one of a Service' : expected.backend.address}`, () => {
      assert.deepEqual(parseAffinitySet(name, isIPv6), expected);
    });
  }
});
