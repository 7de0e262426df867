import { parseAddress } from '../../core/ip.ts';
import { PROTOCOLS } from '../../core/service/snapshot.ts';
import { frontendKey, realServerKey, type IpvsObject, type RealServer } from './objects.ts';

interface ListedServer {
  readonly scheduler: string;
  readonly isPersistent: boolean;
  /** Weights by `realServerKey`. */
  readonly realServers: Map<string, number>;
}

/** Virtual servers by `frontendKey`, whoever made them; those by firewall mark are left out. */
export type Listing = ReadonlyMap<string, ListedServer>;

/**
 * `TCP  0A600001:0050 rr  persistent 2700000 FFFFFFFF`, with `ops` between the two spaces where each packet counts for itself;
 * IPv6 is in brackets, and has one space there (ip_vs_info_seq_show in net/netfilter/ipvs/ip_vs_ctl.c).
 */
const SERVER = /^(TCP|UDP|SCTP) +(\S+):([0-9A-F]{4}) (\S+) (.*)$/;
const PERSISTENT = /(?:^| )persistent /;
/** `  -> 0AF40101:1F90      Masq    1      0          0` */
const REAL_SERVER = /^ {2}-> (\S+):([0-9A-F]{4}) +\S+ +(\d+)(?: |$)/;

/** Reads /proc/net/ip_vs: all that IPVS has, in one text. */
export function parseListing(text: string): Listing {
  const listing = new Map<string, ListedServer>();
  let current: ListedServer | undefined;
  for (const line of text.split('\n')) {
    const realServer = REAL_SERVER.exec(line);
    if (realServer !== null) {
      const [, address, port, weight] = realServer;
      current?.realServers.set(realServerKey(endpoint(address, port)), Number(weight));
    } else current = parseServer(line, listing);
  }
  return listing;
}

/** The virtual server that the line begins, put into `listing`; undefined for any other line. */
function parseServer(line: string, listing: Map<string, ListedServer>): ListedServer | undefined {
  const [, word, address, port, scheduler = '', flags = ''] = SERVER.exec(line) ?? [];
  const protocol = PROTOCOLS.find((one) => one === word);
  if (protocol === undefined) return undefined;
  const server = { scheduler, isPersistent: PERSISTENT.test(flags), realServers: new Map() };
  listing.set(frontendKey({ ...endpoint(address, port), protocol }), server);
  return server;
}

function endpoint(address = '', port = ''): RealServer {
  const isIPv6 = address.startsWith('[');
  const text = isIPv6 ? address.slice(1, -1) : [...Buffer.from(address, 'hex')].join('.');
  return { address: parseAddress(text).text, port: Number.parseInt(port, 16) };
}

/** Connections come and go; without their numbers the text of an untouched IPVS stays the same. */
export function withoutConnections(text: string): string {
  return text.replaceAll(/^( {2}-> .*?) +\d+ +\d+ *$/gm, '$1');
}

/**
 * Whether all virtual servers that are wanted are there as they should be. Real servers without weight that are not wanted
 * have retired.
 */
export function isListed(objects: Iterable<IpvsObject>, listing: Listing): boolean {
  for (const object of objects) {
    if (object.kind !== 'server') continue;
    const found = listing.get(frontendKey(object.server));
    if (found === undefined || !isSame(object, found)) return false;
  }
  return true;
}

function isSame({ server, realServers }: Extract<IpvsObject, { kind: 'server' }>, found: ListedServer): boolean {
  const isPersistent = server.persistenceSeconds > 0;
  if (found.scheduler !== server.scheduler || found.isPersistent !== isPersistent) return false;
  const wanted = new Set(realServers.map(realServerKey));
  for (const key of wanted) if (found.realServers.get(key) !== 1) return false;
  for (const [key, weight] of found.realServers) if (weight !== 0 && !wanted.has(key)) return false;
  return true;
}
