import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { seededRandom } from '../../../../../src/sandbox/apiserver/registry/identifiers.ts';
import {
  parseIpv4,
  parseIpv4Range,
  ServiceAllocator,
} from '../../../../../src/sandbox/apiserver/registry/service-allocator.ts';
import { Store } from '../../../../../src/sandbox/apiserver/store/store.ts';

function service(name: string, address: string, nodePort: number): Parameters<Store['put']>[2] {
  const ports = [{ port: 80, protocol: 'TCP', nodePort }];
  return { apiVersion: 'v1', kind: 'Service', metadata: { name }, spec: { clusterIPs: [address], ports } };
}

describe('Service addresses and ports', () => {
  it('hand out each address once, and again when it is free', () => {
    const store = new Store(100);
    const allocator = new ServiceAllocator(store, ['10.0.0.0/30'], seededRandom(1));
    const taken = new Set<string>();
    for (const name of ['a', 'b']) {
      const address = allocator.allocateAddress() ?? '';
      taken.add(address);
      store.put('/services', name, service(name, address, 30000));
    }
    assert.deepEqual([...taken].sort(), ['10.0.0.1', '10.0.0.2']);
    assert.equal(allocator.allocateAddress(), undefined);
    const gone = store.get('/services', 'a');
    assert.ok(gone);
    store.remove('/services', 'a', gone);
    assert.notEqual(allocator.allocateAddress(), undefined);
  });

  it('know whose port it is, by protocol', () => {
    const store = new Store(100);
    const allocator = new ServiceAllocator(store, ['10.0.0.0/24'], seededRandom(1));
    store.put('/services', 'a', service('a', '10.0.0.9', 30123));
    assert.equal(allocator.isPortTaken('TCP', 30123, 'b'), true);
    assert.equal(allocator.isPortTaken('TCP', 30123, 'a'), false);
    assert.equal(allocator.isPortTaken('UDP', 30123, 'b'), false);
    store.put('/services', 'a', service('a', '10.0.0.9', 30124));
    assert.equal(allocator.isPortTaken('TCP', 30123, 'b'), false);
  });

  const ADDRESSES: [text: string, number: number | undefined][] = [
    ['0.0.0.1', 1],
    ['10.0.0.255', 0x0a0000ff],
    ['255.255.255.255', 0xffffffff],
    ['256.0.0.1', undefined],
    ['1.2.3', undefined],
    ['01.2.3.4', undefined],
    ['::1', undefined],
  ];
  for (const [text, number] of ADDRESSES) {
    it(`read ${text} as ${String(number)}`, () => assert.equal(parseIpv4(text), number));
  }

  for (const cidr of ['10.0.0.0', '10.0.0.0/31', 'fd00::/64', '10.0.0/8']) {
    it(`refuse the range ${cidr}`, () => assert.throws(() => parseIpv4Range(cidr), RangeError));
  }
});
