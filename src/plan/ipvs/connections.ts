import { parseAddress } from '../../core/ip.ts';
import { PROTOCOLS } from '../../core/service/snapshot.ts';
import { frontendKey, type Frontend, type RealServer } from './objects.ts';

/** One line of what IPVS has of connections. */
export interface Connection {
  readonly frontend: Frontend;
  /** Canonical text. */
  readonly client: string;
  /** 0 in a template, which remembers a client and carries nothing. */
  readonly clientPort: number;
  readonly realServer: RealServer;
  /** The kernel's word for how far it is; of a protocol without states, the protocol. */
  readonly state: string;
  readonly remainingSeconds: number;
}

/** `TCP 0A000001 D431 0A60000C 0050 0AF40102 1F90 ESTABLISHED     899`; addresses of IPv6 have colons. */
const LINE =
  /^(TCP|UDP|SCTP) +([0-9A-Fa-f:]+) ([0-9A-F]{4}) ([0-9A-Fa-f:]+) ([0-9A-F]{4}) ([0-9A-Fa-f:]+) ([0-9A-F]{4}) +(\S+) +(\d+)/;
/** Nothing is sent any more, or only what was lost of the end. */
const ENDED: ReadonlySet<string> = new Set(['TIME_WAIT', 'CLOSE', 'CLOSED', 'REJECTED']);

/** Reads /proc/net/ip_vs_conn. */
export function parseConnections(text: string): readonly Connection[] {
  return text.split('\n').flatMap((line): Connection[] => {
    const [, word, client, clientPort, address, port, backend, backendPort, state = '', expires] =
      LINE.exec(line) ?? [];
    const protocol = PROTOCOLS.find((one) => one === word);
    if (protocol === undefined) return [];
    return [
      {
        frontend: { address: canonical(address), protocol, port: number(port) },
        client: canonical(client),
        clientPort: number(clientPort),
        realServer: { address: canonical(backend), port: number(backendPort) },
        state,
        remainingSeconds: Number(expires),
      },
    ];
  });
}

/** The `frontendKey`s of virtual servers that somebody still needs: also a handshake and a half-closed connection count. */
export function neededFrontends(connections: readonly Connection[]): ReadonlySet<string> {
  const needed = connections.filter(({ clientPort, state }) => clientPort !== 0 && !ENDED.has(state));
  return new Set(needed.map(({ frontend }) => frontendKey(frontend)));
}

function number(hex = ''): number {
  return Number.parseInt(hex, 16);
}

function canonical(text = ''): string {
  return parseAddress(text.includes(':') ? text : [...Buffer.from(text, 'hex')].join('.')).text;
}
