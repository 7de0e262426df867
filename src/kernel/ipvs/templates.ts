import { createSocket, type Socket } from 'node:dgram';
import { setTimeout as pause } from 'node:timers/promises';
import { realServerKey } from '../../plan/ipvs/objects.ts';
import { firstOfEach, templateId, templatesOf, type Template } from '../../plan/ipvs/persistence.ts';
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
/** Each of its steps may fail. */
const LISTEN_TRIES = 4;
/** The kernel takes datagrams in a thread of its own. */
const TRIES = 20;
const TRY_MS = 50;
/** What is to end does so a second later. */
const TRIES_AFTER_END = 40;
/** A piece is a page of 4096 bytes; a line is of 84 bytes at least. */
const PIECE_CONNECTIONS = 20;
/** Each piece takes as long as there are connections before it. */
const LOOK_TWICE_CONNECTIONS = 10_000;

/**
 * What IPVS of a network namespace remembers of clients. The kernel lists connections in pieces, and counts from the first
 * one for each: where one that was listed ends meanwhile, another is left out. So it is asked twice where that can be, and
 * where it does not take too long. Throws `KernelError`.
 */
export function listTemplates(netns: string | undefined): readonly Template[] {
  const connections = listConnections(netns);
  const isInPieces = connections.length >= PIECE_CONNECTIONS && connections.length <= LOOK_TWICE_CONNECTIONS;
  const again = isInPieces ? templatesOf(listConnections(netns)) : [];
  return firstOfEach(again, templatesOf(connections));
}

/**
 * Makes IPVS remember these clients, whatever it remembered of them, and returns how many of them it does. Netlink has no
 * way to say so: for a moment IPVS listens on the loopback interface for what a second one would tell it. Their virtual
 * servers must be there, and should not see their packets: between an old backend and a new one is a moment with none. What
 * a connection still hangs on stays as it is. Where nothing can be told, or somebody else has it listen already, it
 * remembers what it did: forgetting clients is no reason to fail.
 */
export async function addTemplates(
  servers: IpvsClient,
  templates: readonly Template[],
  netns: string | undefined,
): Promise<number> {
  const wanted = firstOfEach(templates);
  for (let left = LISTEN_TRIES; left > 0 && unknownOf(wanted, knownIn(netns)).length > 0; left -= 1) {
    try {
      await listenAndTell(servers, wanted, netns);
      break;
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
    }
  }
  return wanted.length - unknownOf(wanted, knownIn(netns)).length;
}

/** What an earlier life has begun to listen, and did not end. Throws `KernelError`. */
export async function stopListening(servers: IpvsClient): Promise<void> {
  if (await servers.hasBackup(LOOPBACK_INTERFACE, SYNC_ID)) await servers.stopBackup();
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

/** Sends them until they are there, or for a while; what IPVS remembers otherwise is made to end first. */
async function tell(templates: readonly Template[], netns: string | undefined): Promise<void> {
  const socket = createSocket('udp4');
  try {
    // From here on the descriptor is the socket's.
    socket.bind({ fd: bindUdpIn(netns ?? '/proc/self/ns/net', LOOPBACK, 0) });
    socket.setMulticastInterface(LOOPBACK);
    socket.setMulticastTTL(0);
    const other = otherThan(templates, knownIn(netns));
    // Told of a client that it knows, IPVS takes over how long it does, not where to.
    await send(
      socket,
      other.map((template) => ({ ...template, remainingSeconds: 1 })),
    );
    for (let left = other.length > 0 ? TRIES_AFTER_END : TRIES; left > 0; left -= 1) {
      const known = knownIn(netns);
      const missing = templates.filter((template) => !known.has(templateId(template)));
      if (missing.length === 0 && otherThan(templates, known).length === 0) return;
      await send(socket, missing);
      await pause(TRY_MS);
    }
  } finally {
    socket.close();
  }
}

async function send(socket: Socket, templates: readonly Template[]): Promise<void> {
  for (const message of encodeSyncMessages(templates, SYNC_ID)) await sendMessage(socket, message);
}

function sendMessage(socket: Socket, message: Buffer): Promise<void> {
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

type Known = ReadonlyMap<string, Template>;

function knownIn(netns: string | undefined): Known {
  return new Map(listTemplates(netns).map((template) => [templateId(template), template]));
}

/** Those that IPVS would send to another real server, or to any. */
function unknownOf(templates: readonly Template[], known: Known): readonly Template[] {
  return templates.filter((template) => {
    const found = known.get(templateId(template));
    return found === undefined || realServerKey(found.realServer) !== realServerKey(template.realServer);
  });
}

/** What IPVS knows of the same clients, and otherwise. */
function otherThan(templates: readonly Template[], known: Known): readonly Template[] {
  return unknownOf(templates, known).flatMap((template) => known.get(templateId(template)) ?? []);
}
