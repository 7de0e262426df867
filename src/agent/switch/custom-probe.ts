import { Resolver } from 'node:dns/promises';
import { get as getHttps } from 'node:https';
import { connect } from 'node:net';
import { durationMs } from '../../core/api/meta.ts';
import type { ProbeConfig } from '../../core/api/probe-config.ts';
import { parseAddress } from '../../core/ip.ts';
import type { ServicePort } from '../../core/service/snapshot.ts';
import { get as getHttp } from '../../support/http.ts';

/**
 * One try of what a profile names. `clusterDns` is asked where a query names no server. Resolves when it passes; rejects
 * with what went wrong, for people.
 */
export async function tryProbe(probe: ProbeConfig, clusterDns: ServicePort | undefined): Promise<void> {
  const timeoutMs = durationMs(probe.timeout);
  const { tcp, http, dns } = probe;
  if (tcp !== undefined) await connectTo(tcp, timeoutMs);
  if (http !== undefined) await fetchStatus(http, timeoutMs);
  if (dns !== undefined) await resolveName(dns, clusterDns, timeoutMs);
}

type Tcp = NonNullable<ProbeConfig['tcp']>;
type Http = NonNullable<ProbeConfig['http']>;
type Dns = NonNullable<ProbeConfig['dns']>;

function connectTo({ host, port }: Tcp, timeoutMs: number): Promise<void> {
  const signal = AbortSignal.timeout(timeoutMs);
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, signal });
    socket.once('connect', () => {
      socket.destroy();
      resolve();
    });
    socket.once('error', (error) => reject(failure(`${host}:${port}`, error, signal)));
  });
}

/** As the kubelet does it: a certificate that nobody vouches for is as good, since it is reachability that is asked for. */
function fetchStatus({ url, statuses }: Http, timeoutMs: number): Promise<void> {
  const signal = AbortSignal.timeout(timeoutMs);
  return new Promise((resolve, reject) => {
    const options = { signal, agent: false, headers: { 'user-agent': 'switchyard-probe' } } as const;
    const request = url.startsWith('https:')
      ? getHttps(url, { ...options, rejectUnauthorized: false })
      : getHttp(url, options);
    request.once('error', (error) => reject(failure(url, error, signal)));
    request.once('response', (response) => {
      response.destroy();
      const { statusCode = 0 } = response;
      const isExpected = statuses.length === 0 ? statusCode >= 200 && statusCode < 400 : statuses.includes(statusCode);
      if (isExpected) resolve();
      else reject(new Error(`${url}: status ${statusCode}`));
    });
  });
}

async function resolveName(dns: Dns, clusterDns: ServicePort | undefined, timeoutMs: number): Promise<void> {
  const server = dns.server ?? clusterDns?.clusterIP;
  if (server === undefined) throw new Error('there is no Service kube-system/kube-dns with endpoints; name a server');
  const port = dns.server === undefined ? (clusterDns?.port ?? dns.port) : dns.port;
  const resolver = new Resolver({ timeout: timeoutMs, tries: 1 });
  resolver.setServers([server.includes(':') ? `[${server}]:${port}` : `${server}:${port}`]);
  const answers = await (dns.type === 'A' ? resolver.resolve4(dns.name) : resolver.resolve6(dns.name)).catch(
    (error: unknown) => {
      const { code } = error as NodeJS.ErrnoException;
      throw new Error(`${dns.name} at ${server}: ${code === 'ETIMEOUT' ? `no answer within ${timeoutMs} ms` : code}`);
    },
  );
  if (dns.address === undefined) return;
  const wanted = parseAddress(dns.address).text;
  if (answers.some((answer) => parseAddress(answer).text === wanted)) return;
  throw new Error(`${dns.name} at ${server}: ${answers.join(', ')} instead of ${dns.address}`);
}

function failure(what: string, error: Error, signal: AbortSignal): Error {
  return new Error(`${what}: ${signal.aborted ? 'no answer in time' : error.message}`);
}
