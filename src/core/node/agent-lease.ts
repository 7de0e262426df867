import { createHash } from 'node:crypto';

const PREFIX = 'switchyard-agent-';
/** Of an object's name. */
const MAX_NAME = 253;
/** A longer name of a node does not stand in full in that of its Lease, which then has all characters that a name may have. */
const MAX_NODE = MAX_NAME - PREFIX.length - 1;
const DIGITS = 16;
/** So much of a longer one does; the chart's admission policy knows of it. */
const KEPT = MAX_NAME - PREFIX.length - DIGITS - 1;

/** How often an agent says that it lives. A thousand nodes make 33 small writes a second of it. */
export const AGENT_RENEW_MS = 30_000;
/** An agent that has not been heard for so long is lost; two renewals may fail, and a third be late. */
export const AGENT_LEASE_MS = 120_000;

/**
 * The name of the Lease by which the agent of a node says that it lives; beside the controller's own, in its namespace. No two
 * nodes have the same: one whose name is too long has a digest of it in the place of its end.
 */
export function agentLeaseName(node: string): string {
  if (node.length <= MAX_NODE) return `${PREFIX}${node}`;
  const digest = createHash('sha256').update(node).digest('hex').slice(0, DIGITS);
  // The letter before it may follow a dot or a dash.
  return `${PREFIX}${node.slice(0, KEPT)}x${digest}`;
}

/** The node whose agent, `holder`, renews the Lease of that name; undefined when it is no agent's. */
export function nodeOfLease(name: string, holder: string | undefined): string | undefined {
  if (!name.startsWith(PREFIX)) return undefined;
  if (name.length < MAX_NAME) return name.slice(PREFIX.length);
  return holder !== undefined && agentLeaseName(holder) === name ? holder : undefined;
}

/** The reason of Ready=Unknown that the controller writes for an agent that is lost; the agent writes over it when it is back. */
export const AGENT_LOST = 'AgentLost';
