import type { NodeProxyState } from '../api/node-proxy-state.ts';
import type { Finding, Level } from './finding.ts';

type Draft = Omit<Finding, 'subjects' | 'level'> & { readonly level?: Level };

/** A finding about the node of a state; of its data plane unless the draft says otherwise. */
export function stateFinding({ metadata }: NodeProxyState, draft: Draft): Finding {
  return { level: 'DataPlane', subjects: [`node/${metadata.name}`], ...draft };
}

/** What an agent that is gone or behind leaves a node with. */
export const STALE = 'this node goes on with the rules that it had: new Services and endpoints are not known there';

export function logsOf({ metadata }: NodeProxyState): string {
  return `kubectl logs -A -l app.kubernetes.io/component=agent --field-selector spec.nodeName=${metadata.name}`;
}
