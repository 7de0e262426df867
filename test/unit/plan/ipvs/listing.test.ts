import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isListed, parseListing, withoutConnections } from '../../../../src/plan/ipvs/listing.ts';
import type { IpvsObject } from '../../../../src/plan/ipvs/objects.ts';

/** As Linux 6.1 prints it. */
const TEXT = `IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port Forward Weight ActiveConn InActConn
FWM  00000001 rr  
  -> 0A000001:0000      Masq    1      0          0         
TCP  0A600001:01BB rr  persistent 2700000 FFFFFFFF
  -> 0AF40101:1F90      Masq    1      3          12        
  -> 0AF40102:1F90      Masq    0      1          0         
UDP  [fd00:0096:0000:0000:0000:0000:0000:0010]:0035 sh 
  -> [fd00:0244:0001:0000:0000:0000:0000:0002]:1F90      Masq    1      0          0         
TCP  0A600002:0050 wlc  
UDP  [fd00:0096:0000:0000:0000:0000:0000:0011]:0035 rr persistent 10800000 128
`;

function server(
  frontend: readonly [address: string, protocol: 'TCP' | 'UDP', port: number],
  scheduler: string,
  { realServers = [], persistenceSeconds = 0 }: { realServers?: readonly string[]; persistenceSeconds?: number } = {},
): IpvsObject {
  const [address, protocol, port] = frontend;
  return {
    kind: 'server',
    id: 'x',
    server: { address, protocol, port, scheduler, schedulerFlags: 0, persistenceSeconds },
    realServers: realServers.map((text) => ({ address: text, port: 8080 })),
  };
}

const STICKY = ['10.96.0.1', 'TCP', 443] as const;
const DNS = ['fd00:96::10', 'UDP', 53] as const;
const CACHE = ['fd00:96::11', 'UDP', 53] as const;
const EMPTY = ['10.96.0.2', 'TCP', 80] as const;

const CASES: readonly [name: string, object: IpvsObject, isThere: boolean][] = [
  [
    'one of IPv4, and what has retired',
    server(STICKY, 'rr', { realServers: ['10.244.1.1'], persistenceSeconds: 10800 }),
    true,
  ],
  ['one of IPv6', server(DNS, 'sh', { realServers: ['fd00:244:1::2'] }), true],
  ['one of IPv6 that remembers its clients', server(CACHE, 'rr', { persistenceSeconds: 10800 }), true],
  ['one without real servers', server(EMPTY, 'wlc'), true],
  ['another scheduler', server(EMPTY, 'rr'), false],
  ['no persistence', server(STICKY, 'rr', { realServers: ['10.244.1.1'] }), false],
  ['a real server that is gone', server(DNS, 'sh', { realServers: ['fd00:244:1::2', 'fd00:244:1::3'] }), false],
  ['a real server that nobody wants', server(DNS, 'sh'), false],
  [
    'a real server that should take connections, and does not',
    server(STICKY, 'rr', { realServers: ['10.244.1.1', '10.244.1.2'], persistenceSeconds: 10800 }),
    false,
  ],
  ['a virtual server that is gone', server(['10.96.0.9', 'TCP', 80], 'rr'), false],
];

describe('the listing of IPVS', () => {
  for (const [name, object, isThere] of CASES) {
    it(`${isThere ? 'has' : 'shows'} ${name}`, () => {
      assert.equal(isListed([object], parseListing(TEXT)), isThere);
      assert.equal(isListed([object], parseListing(withoutConnections(TEXT))), isThere);
    });
  }

  it('stays the same while only connections come and go', () => {
    const later = TEXT.replace('1      3          12', '1      0          15');
    assert.notEqual(later, TEXT);
    assert.equal(withoutConnections(later), withoutConnections(TEXT));
    assert.notEqual(withoutConnections(TEXT.replace('Masq    0', 'Masq    1')), withoutConnections(TEXT));
  });
});
