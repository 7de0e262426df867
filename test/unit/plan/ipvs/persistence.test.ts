import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { AffinityEntry } from '../../../../src/core/service/affinity.ts';
import { DEFAULT_IPVS_OPTIONS } from '../../../../src/core/service/ipvs-options.ts';
import type { ServicePort, Snapshot } from '../../../../src/core/service/snapshot.ts';
import { encodeSyncMessages } from '../../../../src/kernel/ipvs/sync-message.ts';
import { neededFrontends, parseConnections } from '../../../../src/plan/ipvs/connections.ts';
import { Ledger } from '../../../../src/plan/ipvs/ledger.ts';
import {
  firstOfEach,
  readTemplates,
  templatesFor,
  templatesOf,
  type Template,
} from '../../../../src/plan/ipvs/persistence.ts';
import { planServicePort } from '../../../../src/plan/ipvs/service-port.ts';
import { backend, OPTIONS, servicePort } from '../iptables/service-ports.ts';

/** As Linux 6.1 prints it: a connection, templates, and one of a client whose connections carry a name. */
const TEXT = `Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Expires PEName PEData
TCP C6336407 D431 AC1E0029 0050 0AB40001 1F90 ESTABLISHED     899
TCP C6336407 0000 AC1E0029 0050 0AB40001 1F90 NONE          10799
TCP C6336407 0000 C0000207 0050 0AB40009 1F90 NONE            12
TCP C6336408 0000 AC1E0029 0050 0AB40063 1F90 NONE            50
UDP fd00:0098:0000:0000:0000:0000:0000:0001 0000 fd00:0096:0000:0000:0000:0000:0000:0010 0035 fd00:0244:0000:0000:0000:0000:0000:0002 1F91 NONE            33
IP  C6336407 0000 00000001 0000 0AB40001 1F90 NONE            50
`;

const STICKY = servicePort('sticky', {
  affinitySeconds: 300,
  externalIPs: ['192.0.2.7'],
  clusterBackends: [backend('10.180.0.1'), backend('10.180.0.9')],
  hasEndpoints: true,
});

function world(port: ServicePort): { snapshot: Snapshot; ledgers: readonly Ledger[] } {
  const context = {
    family: 'IPv4',
    options: DEFAULT_IPVS_OPTIONS,
    nodePortAddresses: [],
    localAddresses: new Set<string>(),
  } as const;
  const ledger = new Ledger((each) => planServicePort(each, context));
  ledger.apply([{ key: port.key, after: port }]);
  return { snapshot: { options: OPTIONS, servicePorts: new Map([[port.key, port]]) }, ledgers: [ledger] };
}

describe('what IPVS remembers of clients', () => {
  it('are connections from port 0, of both families', () => {
    assert.deepEqual(
      templatesOf(parseConnections(TEXT)).map(({ client, frontend, realServer, remainingSeconds }) =>
        [
          client,
          frontend.address,
          frontend.protocol,
          frontend.port,
          realServer.address,
          realServer.port,
          remainingSeconds,
        ].join(),
      ),
      [
        '198.51.100.7,172.30.0.41,TCP,80,10.180.0.1,8080,10799',
        '198.51.100.7,192.0.2.7,TCP,80,10.180.0.9,8080,12',
        '198.51.100.8,172.30.0.41,TCP,80,10.180.0.99,8080,50',
        'fd00:98::1,fd00:96::10,UDP,53,fd00:244::2,8081,33',
      ],
    );
  });

  it('is what is listed first of a client that IPVS was told anew, and what either of two lists has', () => {
    const line = (client: string, backend: string) =>
      `TCP ${client} 0000 AC1E0029 0050 ${backend} 1F90 NONE           9\n`;
    const [first, second] = ['C6336407', 'C6336408'];
    const told = templatesOf(parseConnections(line(first, '0AB40009') + line(first, '0AB40001')));
    const listed = templatesOf(parseConnections(line(first, '0AB40001') + line(second, '0AB40001')));
    assert.deepEqual(
      firstOfEach(told, listed).map(({ client, realServer }) => [client, realServer.address]),
      [
        ['198.51.100.7', '10.180.0.9'],
        ['198.51.100.8', '10.180.0.1'],
      ],
    );
  });

  it('keeps nobody waiting, other than what is not over yet', () => {
    const line = (port: string, state: string): string =>
      `TCP C6336407 D431 AC1E0029 ${port} 0AB40001 1F90 ${state.padEnd(11)}     9\n`;
    const states = {
      SYN_RECV: true,
      ESTABLISHED: true,
      FIN_WAIT: true,
      CLOSE_WAIT: true,
      TIME_WAIT: false,
      CLOSE: false,
    };
    for (const [state, isNeeded] of Object.entries(states)) {
      const needed = neededFrontends(parseConnections(line('0050', state)));
      assert.deepEqual([...needed], isNeeded ? ['172.30.0.41 TCP 80'] : [], state);
    }
    assert.deepEqual([...neededFrontends(parseConnections(TEXT))], ['172.30.0.41 TCP 80']);
  });

  it('counts by its last use, for endpoints that the Service still has', () => {
    const { snapshot, ledgers } = world(STICKY);
    const { entries } = readTemplates(templatesOf(parseConnections(TEXT)), snapshot, ledgers);
    assert.deepEqual(entries, [
      {
        key: STICKY.key,
        client: '198.51.100.7',
        backend: { address: '10.180.0.1', port: 8080 },
        remainingSeconds: 10_799,
      },
    ]);
  });

  it('is nothing for Services without affinity', () => {
    const { snapshot, ledgers } = world({ ...STICKY, affinitySeconds: 0 });
    assert.deepEqual(readTemplates(templatesOf(parseConnections(TEXT)), snapshot, ledgers).entries, []);
  });

  it('is a template for each address of the Service, for the whole of its timeout', () => {
    const { ledgers } = world(STICKY);
    const entry = (address: string): AffinityEntry => ({
      key: STICKY.key,
      client: '198.51.100.7',
      backend: { address, port: 8080 },
      remainingSeconds: 5,
    });
    const made = templatesFor([entry('10.180.0.9'), entry('10.180.0.77')], ledgers);
    assert.deepEqual(
      made.map(({ frontend, realServer, remainingSeconds }) => [
        frontend.address,
        realServer.address,
        remainingSeconds,
      ]),
      [
        ['172.30.0.41', '10.180.0.9', 300],
        ['192.0.2.7', '10.180.0.9', 300],
      ],
    );
  });

  it('is told in datagrams that fit any link, each of whole templates', () => {
    const template = (index: number): Template => ({
      frontend: { address: 'fd00:96::10', protocol: 'TCP', port: 80 },
      client: `fd00:98::${index}`,
      realServer: { address: 'fd00:244::2', port: 8080 },
      remainingSeconds: 300,
    });
    const messages = encodeSyncMessages(
      Array.from({ length: 50 }, (_, index) => template(index + 1)),
      83,
    );
    assert.ok(messages.length > 1);
    assert.equal(
      messages.reduce((sum, message) => sum + message.readUInt8(4), 0),
      50,
    );
    for (const message of messages) {
      assert.ok(message.length <= 1_400);
      assert.equal(message.readUInt16BE(2), message.length);
      assert.equal((message.length - 8) / message.readUInt8(4), 72);
    }
    assert.deepEqual(encodeSyncMessages([], 83), []);
  });
});
