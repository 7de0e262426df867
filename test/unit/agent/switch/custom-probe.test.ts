import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { createServer, type AddressInfo } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { tryProbe } from '../../../../src/agent/switch/custom-probe.ts';
import { renderedConfig } from '../../../../src/core/api/node-proxy-state.ts';

const HOST = '127.0.0.1';
const ANSWER = '192.0.2.7';

/** Answers every query for `known.example` with one address, and all others with NXDOMAIN. */
function answerDns(query: Buffer): Buffer {
  const end = query.indexOf(0, 12) + 5;
  const question = query.subarray(12, end);
  const isKnown = question.includes('known');
  const header = Buffer.from([0, 0, 0x81, isKnown ? 0x80 : 0x83, 0, 1, 0, isKnown ? 1 : 0, 0, 0, 0, 0]);
  query.copy(header, 0, 0, 2);
  const record = Buffer.from([0xc0, 0x0c, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, ...ANSWER.split('.').map(Number)]);
  return Buffer.concat(isKnown ? [header, question, record] : [header, question]);
}

describe('probes that a profile names', () => {
  const tcp = createServer((socket) => socket.destroy());
  const http = createHttpServer((request, response) => {
    response.statusCode = Number(request.url?.slice(1));
    response.end();
  });
  const dns = createSocket('udp4');
  const silent = createSocket('udp4');
  let ports = { tcp: 0, http: 0, dns: 0, silent: 0, closed: 0 };

  before(async () => {
    const gone = createServer().listen(0, HOST);
    tcp.listen(0, HOST);
    http.listen(0, HOST);
    dns.on('message', (query, from) => dns.send(answerDns(query), from.port, from.address));
    dns.bind(0, HOST);
    silent.bind(0, HOST);
    await Promise.all([gone, tcp, http, dns, silent].map((each) => once(each, 'listening')));
    const portOf = (server: { address(): unknown }) => (server.address() as AddressInfo).port;
    ports = {
      tcp: portOf(tcp),
      http: portOf(http),
      dns: portOf(dns),
      silent: portOf(silent),
      closed: portOf(gone),
    };
    gone.close();
    await once(gone, 'close');
  });

  after(() => {
    tcp.close();
    http.close();
    dns.close();
    silent.close();
  });

  const TABLE: readonly { name: string; probe: () => object; fails?: RegExp }[] = [
    { name: 'a port that answers', probe: () => ({ tcp: { host: HOST, port: ports.tcp } }) },
    {
      name: 'a port where nobody listens',
      probe: () => ({ tcp: { host: HOST, port: ports.closed } }),
      fails: /ECONNREFUSED/,
    },
    { name: 'a page', probe: () => ({ http: { url: `http://${HOST}:${ports.http}/204` } }) },
    {
      name: 'an error page',
      probe: () => ({ http: { url: `http://${HOST}:${ports.http}/503` } }),
      fails: /status 503$/,
    },
    {
      name: 'an error page that is expected',
      probe: () => ({ http: { url: `http://${HOST}:${ports.http}/503`, statuses: [401, 503] } }),
    },
    {
      name: 'a page without TLS behind https',
      probe: () => ({ http: { url: `https://${HOST}:${ports.tcp}/` } }),
      fails: /https:/,
    },
    { name: 'a name', probe: () => ({ dns: { name: 'known.example', server: HOST, port: ports.dns } }) },
    {
      name: 'a name with its address',
      probe: () => ({ dns: { name: 'known.example', server: HOST, port: ports.dns, address: ANSWER } }),
    },
    {
      name: 'a name with another address',
      probe: () => ({ dns: { name: 'known.example', server: HOST, port: ports.dns, address: '192.0.2.8' } }),
      fails: /192\.0\.2\.7 instead of 192\.0\.2\.8/,
    },
    {
      name: 'a name that is not there',
      probe: () => ({ dns: { name: 'other.example', server: HOST, port: ports.dns } }),
      fails: /ENOTFOUND/,
    },
    {
      name: 'a DNS server that says nothing',
      probe: () => ({ timeout: '50ms', dns: { name: 'known.example', server: HOST, port: ports.silent } }),
      fails: /no answer within 50 ms/,
    },
    { name: 'cluster DNS that there is not', probe: () => ({ dns: { name: 'x.example' } }), fails: /kube-dns/ },
  ];

  for (const { name, probe, fails } of TABLE) {
    it(`${name} ${fails === undefined ? 'passes' : 'fails'}`, async () => {
      const [parsed] = renderedConfig.parse({
        mode: 'nftables',
        probes: [{ name: 'p', timeout: '5s', ...probe() }],
      }).probes;
      assert.ok(parsed !== undefined);
      const tried = tryProbe(parsed, undefined);
      if (fails === undefined) await tried;
      else await assert.rejects(tried, fails);
    });
  }
});

describe('the schema of probes', () => {
  const tcp = { host: 'db.example', port: 5432 };
  const REFUSED: readonly { name: string; probes: readonly object[]; says: RegExp }[] = [
    { name: 'nothing to try', probes: [{ name: 'p' }], says: /exactly one of tcp, http and dns/ },
    { name: 'two things to try', probes: [{ name: 'p', tcp, dns: { name: 'x' } }], says: /exactly one/ },
    { name: 'one name twice', probes: [1, 2].map(() => ({ name: 'p', tcp })), says: /unique/ },
    { name: 'too long a timeout', probes: [{ name: 'p', tcp, timeout: '11s' }], says: /at most 10s/ },
    { name: 'no timeout', probes: [{ name: 'p', tcp, timeout: '0s' }], says: /above 0s/ },
    { name: 'a built-in name', probes: [{ name: 'ClusterDNS', tcp }], says: /name/ },
    { name: 'no URL', probes: [{ name: 'p', http: { url: 'ftp://x' } }], says: /url/ },
  ];
  for (const { name, probes, says } of REFUSED) {
    it(`refuses ${name}`, () => {
      const result = renderedConfig.safeParse({ mode: 'nftables', probes });
      assert.ok(!result.success);
      assert.match(JSON.stringify(result.error.issues), says);
    });
  }
});
