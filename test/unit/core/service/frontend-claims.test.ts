import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Service } from '../../../../src/core/kubernetes.ts';
import { ServiceTable } from '../../../../src/core/service/service-table.ts';
import { OPTIONS, service } from '../api-objects.ts';

const OLD = '2026-01-01T00:00:00Z';
const NEW = '2026-02-01T00:00:00Z';

function made(name: string, at: string | undefined, spec: object, rest: Omit<Service, 'spec'> = {}): Service {
  const clusterIP = `172.30.1.${name.charCodeAt(0)}`;
  return service(name, { clusterIP, ...spec }, { ...rest, metadata: { creationTimestamp: at, ...rest.metadata } });
}
const vip = (ip: string) => ({ status: { loadBalancer: { ingress: [{ ip }] } } });
const nodePort = { ports: [{ name: '', port: 80, nodePort: 30_080 }] };

/** Where each Service is served beside its ClusterIP. */
function shares(services: readonly Service[]): {
  shares: Record<string, readonly (string | number)[]>;
  problems: string[];
} {
  const table = new ServiceTable({ nodeName: 'n1', dataplane: OPTIONS });
  for (const each of services) table.upsertService(each);
  const { snapshot, problems } = table.take();
  const entries = [...snapshot.servicePorts.values()].map(
    ({ name, loadBalancerVIPs, externalIPs, nodePort: port }): [string, readonly (string | number)[]] => [
      name,
      [...loadBalancerVIPs, ...externalIPs, ...(port === 0 ? [] : [port])],
    ],
  );
  return { shares: Object.fromEntries(entries), problems: problems.map(({ path, message }) => `${path}: ${message}`) };
}

interface Case {
  readonly name: string;
  readonly services: readonly Service[];
  readonly shares: Readonly<Record<string, readonly (string | number)[]>>;
  readonly problem: RegExp;
}

const CASES: readonly Case[] = [
  {
    name: 'an external IP goes to the older Service',
    services: [made('a', NEW, { externalIPs: ['9.9.9.9'] }), made('b', OLD, { externalIPs: ['9.9.9.9'] })],
    shares: { a: [], b: ['9.9.9.9'] },
    problem: /^9\.9\.9\.9 port 80\/TCP: Service ns\/b has it/,
  },
  {
    name: 'of the same age, to the first by name',
    services: [made('b', OLD, { externalIPs: ['9.9.9.9'] }), made('a', OLD, { externalIPs: ['9.9.9.9'] })],
    shares: { a: ['9.9.9.9'], b: [] },
    problem: /Service ns\/a has it/,
  },
  {
    name: 'a Service that does not say its age is the newest',
    services: [made('a', undefined, { externalIPs: ['9.9.9.9'] }), made('b', NEW, { externalIPs: ['9.9.9.9'] })],
    shares: { a: [], b: ['9.9.9.9'] },
    problem: /Service ns\/b has it/,
  },
  {
    name: "another Service's VIP cannot be had as external IP, however old the Service is",
    services: [made('a', OLD, { externalIPs: ['9.9.9.9', '8.8.8.8'] }), made('b', NEW, {}, vip('9.9.9.9'))],
    shares: { a: ['8.8.8.8'], b: ['9.9.9.9'] },
    problem: /^9\.9\.9\.9 .*ns\/b has it/,
  },
  {
    name: "another Service's ClusterIP can be had as nothing",
    services: [made('a', OLD, { externalIPs: ['172.30.1.98'] }, vip('172.30.1.98')), made('b', NEW, {})],
    shares: { a: [], b: [] },
    problem: /^172\.30\.1\.98 port 80\/TCP: Service ns\/b has it/,
  },
  {
    name: 'a NodePort goes to the older Service',
    services: [made('a', NEW, nodePort), made('b', OLD, nodePort)],
    shares: { a: [], b: [30_080] },
    problem: /^NodePort 30080\/TCP: Service ns\/b has it/,
  },
  {
    name: 'a ClusterIP that two have is served for one',
    services: [made('a', OLD, { clusterIP: '172.30.1.9' }), made('b', NEW, { clusterIP: '172.30.1.9' })],
    shares: { a: [] },
    problem: /^172\.30\.1\.9 port 80\/TCP: Service ns\/a has it/,
  },
  {
    name: 'who has it in another namespace is not said',
    services: [
      made('a', NEW, { externalIPs: ['9.9.9.9'] }),
      made('b', OLD, { externalIPs: ['9.9.9.9'] }, { metadata: { namespace: 'secret', name: 'b' } }),
    ],
    shares: { a: [], b: ['9.9.9.9'] },
    problem: /: a Service of another namespace has it$/,
  },
];

describe('a frontend that several Services ask for', () => {
  for (const { name, services, shares: expected, problem } of CASES) {
    it(name, () => {
      for (const order of [services, services.toReversed()]) {
        const found = shares(order);
        assert.deepEqual(found.shares, expected);
        assert.equal(found.problems.length, 1, found.problems.join('\n'));
        assert.match(found.problems[0] ?? '', problem);
      }
    });
  }

  it('is given to the next when it is given up, changes the type or goes, and nobody else is touched', () => {
    const table = new ServiceTable({ nodeName: 'n1', dataplane: OPTIONS });
    const asking = { externalIPs: ['9.9.9.9'] };
    const changes = () => table.take().changes.map(({ key, after }) => `${key} ${String(after?.externalIPs)}`);
    table.upsertService(made('a', OLD, asking));
    table.upsertService(made('b', NEW, asking));
    table.upsertService(made('c', NEW, {}));
    changes();
    table.upsertService(made('a', OLD, {}));
    assert.deepEqual(changes().sort(), ['ns/a:/TCP@IPv4 ', 'ns/b:/TCP@IPv4 9.9.9.9']);
    table.upsertService(made('a', OLD, asking));
    assert.deepEqual(changes().sort(), ['ns/a:/TCP@IPv4 9.9.9.9', 'ns/b:/TCP@IPv4 ']);
    table.upsertService(made('a', OLD, { ...asking, type: 'ExternalName' }));
    assert.deepEqual(changes().sort(), ['ns/a:/TCP@IPv4 undefined', 'ns/b:/TCP@IPv4 9.9.9.9']);
    table.replaceServices([made('a', OLD, asking), made('b', NEW, asking), made('c', NEW, {})]);
    assert.deepEqual(changes().sort(), ['ns/a:/TCP@IPv4 9.9.9.9', 'ns/b:/TCP@IPv4 ']);
    table.deleteService({ metadata: { namespace: 'ns', name: 'a' } });
    assert.deepEqual(changes().sort(), ['ns/a:/TCP@IPv4 undefined', 'ns/b:/TCP@IPv4 9.9.9.9']);
  });

  it('means nothing under policy Local to a Service that has no other address', () => {
    const table = new ServiceTable({ nodeName: 'n1', dataplane: OPTIONS });
    const local = { externalIPs: ['9.9.9.9'], externalTrafficPolicy: 'Local' };
    table.upsertService(made('a', OLD, local));
    table.upsertService(made('b', NEW, local));
    assert.equal(table.take().snapshot.servicePorts.get('ns/b:/TCP@IPv4')?.externalLocal, false);
  });
});
