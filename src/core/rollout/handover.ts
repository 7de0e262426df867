import type { RolloutEvent } from './transition.ts';
import type { Condition } from '../api/meta.ts';
import type { ProxyProfile, ProxyProfileStatus } from '../api/proxy-profile.ts';
import { nameEvent } from './events.ts';
import { timeText } from '../time.ts';

/** What is known of the DaemonSets of kube-proxy that a profile names. */
export type HandoverFinding =
  | { readonly kind: 'Replaced'; readonly nodes: number }
  | { readonly kind: 'NoDaemonSet' | 'Contested'; readonly names: readonly string[] };

const TYPE = 'KubeProxyReplaced';

type Saying = Pick<Condition, 'status' | 'reason' | 'message'>;

function sayingOf(finding: HandoverFinding): Saying {
  switch (finding.kind) {
    case 'Replaced':
      return { status: 'True', reason: 'Replaced', message: `kube-proxy is kept off ${finding.nodes} nodes.` };
    case 'NoDaemonSet':
      return {
        status: 'False',
        reason: 'NoDaemonSet',
        message:
          `There is no DaemonSet ${finding.names.join(', ')}. Where kube-proxy runs by other means, turn it off yourself (k3s: ` +
          'disable-kube-proxy: true; RKE2: the same in its config.yaml; then restart the service on each node), or name its ' +
          'DaemonSet in spec.kubeProxy.',
      };
    case 'Contested':
      return {
        status: 'False',
        reason: 'Contested',
        message:
          `Somebody keeps taking the node affinity out of ${finding.names.join(', ')}, so kube-proxy runs beside us on nodes ` +
          'that we serve. Let whatever manages it (GitOps, an add-on manager) leave spec.template.spec.affinity alone.',
      };
  }
}

/** The status with what is to be said of kube-proxy; without it where nothing is. */
export function withHandover(
  profile: ProxyProfile,
  status: ProxyProfileStatus,
  finding: HandoverFinding | undefined,
  nowMs: number,
): { readonly status: ProxyProfileStatus; readonly events: readonly RolloutEvent[] } {
  if (finding === undefined) return { status, events: [] };
  const saying = sayingOf(finding);
  const old = profile.status?.conditions?.find(({ type }) => type === TYPE);
  const lastTransitionTime = old?.status === saying.status ? old.lastTransitionTime : timeText(nowMs);
  const observedGeneration = profile.metadata.generation ?? 0;
  const condition: Condition = { type: TYPE, ...saying, lastTransitionTime, observedGeneration };
  const conditions = [...(status.conditions ?? []), condition];
  return { status: { ...status, conditions }, events: old?.reason === saying.reason ? [] : [eventOf(profile, saying)] };
}

function eventOf(profile: ProxyProfile, { status, reason, message }: Saying): RolloutEvent {
  const told = reason === 'Replaced' ? 'KubeProxyReplaced' : `KubeProxy${reason}`;
  return nameEvent(profile, { type: status === 'True' ? 'Normal' : 'Warning', reason: told, message });
}
