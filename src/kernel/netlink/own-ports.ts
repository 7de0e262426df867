/** Longer than a notification takes to a reader in this process; nobody else gets one of these port ids so soon. */
const ECHO_MS = 10_000;

/** How many of our sockets and programs have, or had a moment ago, a port id. */
const owners = new Map<number, number>();

/** Whether a notification speaks of a change that this process or a program that it ran made, now or a moment ago. */
export function isOwnPort(portId: number): boolean {
  return owners.has(portId);
}

/** What this port id changes is our doing. Gives what to call when it changes nothing any more. */
export function ownPort(portId: number): () => void {
  owners.set(portId, (owners.get(portId) ?? 0) + 1);
  // Notifications of its last changes may still be on their way to a reader in this process.
  return () => after(ECHO_MS / 2, () => after(ECHO_MS / 2, () => disown(portId)));
}

/** A process that did not get to run for long takes its timers before its sockets; a second one comes after what was sent. */
function after(ms: number, work: () => void): void {
  setTimeout(work, ms).unref();
}

function disown(portId: number): void {
  const count = (owners.get(portId) ?? 0) - 1;
  if (count > 0) owners.set(portId, count);
  else owners.delete(portId);
}
