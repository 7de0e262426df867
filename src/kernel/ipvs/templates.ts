import { createSocket } from 'node:dgram';
import { setTimeout as pause } from 'node:timers/promises';
import { frontendKey, realServerKey } from '../../plan/ipvs/objects.ts';
import { templatesOf, type Template } from '../../plan/ipvs/persistence.ts';
import { KernelError } from '../error.ts';
import { bindUdpIn } from '../netns.ts';
import type { IpvsClient } from './client.ts';
import { listConnections } from './connections.ts';
import { encodeSyncMessages } from './sync-message.ts';

const LOOPBACK = '127.0.0.1';
const LOOPBACK_INTERFACE = 'lo';
/** Where IPVS listens for what others tell; on the loopback interface nobody outside can send there. */
const GROUP = '224.0.0.81';
const PORT = 8848;
const SYNC_ID = 83;
/** The kernel takes datagrams in a thread of its own. */
const TRIES = 20;
const TRY_MS = 50;

/** What IPVS of a network namespace remembers of clients. Throws `KernelError`. */
export function listTemplates(netns: string | undefined): readonly Template[] {
  return templatesOf(listConnections(netns));
}

/**
 * Makes IPVS remember these clients, and returns how many of them it does. Netlink has no way to say so: for a moment IPVS
 * listens on the loopback interface for what a second one would tell it. Their virtual servers must be there. Where that
 * cannot be done, or somebody else has it listen already, it remembers what it did: forgetting clients is no reason to fail.
 */
export async function addTemplates(
  servers: IpvsClient,
  templates: readonly Template[],
  netns: string | undefined,
): Promise<number> {
  const unknown = unknownOf(templates, netns);
  try {
    if (unknown.length > 0) await listenAndTell(servers, unknown, netns);
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
  }
  return countKnown(templates, netns);
}

async function listenAndTell(
  servers: IpvsClient,
  templates: readonly Template[],
  netns: string | undefined,
): Promise<void> {
  if (!(await servers.startBackup(LOOPBACK_INTERFACE, SYNC_ID))) return;
  try {
    await tell(templates, netns);
  } finally {
    await servers.stopBackup();
  }
}

/** Sends them until they are there, or for a while. */
async function tell(templates: readonly Template[], netns: string | undefined): Promise<void> {
  const socket = createSocket('udp4');
  try {
    // From here on the descriptor is the socket's.
    socket.bind({ fd: bindUdpIn(netns ?? '/proc/self/ns/net', LOOPBACK, 0) });
    socket.setMulticastInterface(LOOPBACK);
    socket.setMulticastTTL(0);
    let unknown = templates;
    for (let left = TRIES; left > 0 && unknown.length > 0; left -= 1) {
      for (const message of encodeSyncMessages(unknown, SYNC_ID)) await send(socket, message);
      await pause(TRY_MS);
      unknown = unknownOf(unknown, netns);
    }
  } finally {
    socket.close();
  }
}

function send(socket: ReturnType<typeof createSocket>, message: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.send(message, PORT, GROUP, (error) => {
      if (error === null) resolve();
      else
        reject(
          new KernelError({
            operation: 'send',
            object: 'persistence templates',
            retryable: true,
            detail: error.message,
          }),
        );
    });
  });
}

/** Those of which IPVS does not know the client; what it remembers already, nobody can change. */
function unknownOf(templates: readonly Template[], netns: string | undefined): readonly Template[] {
  const known = knownIn(netns);
  return templates.filter((template) => !known.has(idOf(template)));
}

function countKnown(templates: readonly Template[], netns: string | undefined): number {
  const known = knownIn(netns);
  return templates.filter((template) => known.get(idOf(template)) === realServerKey(template.realServer)).length;
}

function knownIn(netns: string | undefined): ReadonlyMap<string, string> {
  return new Map(listTemplates(netns).map((template) => [idOf(template), realServerKey(template.realServer)]));
}

function idOf({ client, frontend }: Template): string {
  return `${client} ${frontendKey(frontend)}`;
}
