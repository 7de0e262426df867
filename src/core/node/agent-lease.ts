const PREFIX = 'switchyard-agent-';
const MAX_NAME = 253;

/** How often an agent says that it lives. A thousand nodes make 33 small writes a second of it. */
export const AGENT_RENEW_MS = 30_000;
/** An agent that has not been heard for so long is lost; two renewals may fail, and a third be late. */
export const AGENT_LEASE_MS = 120_000;

/** The name of the Lease by which the agent of a node says that it lives; beside the controller's own, in its namespace. */
export function agentLeaseName(node: string): string {
  return `${PREFIX}${node}`.slice(0, MAX_NAME);
}

/** The node whose agent renews the Lease of that name; undefined when it is no agent's. */
export function nodeOfLease(name: string): string | undefined {
  return name.startsWith(PREFIX) ? name.slice(PREFIX.length) : undefined;
}

/** The reason of Ready=Unknown that the controller writes for an agent that is lost; the agent writes over it when it is back. */
export const AGENT_LOST = 'AgentLost';
