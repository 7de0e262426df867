import type { Condition } from '../api/meta.ts';
import type { ProxyProfile } from '../api/proxy-profile.ts';
import type { Evidence } from './evidence.ts';
import type { Finding } from './finding.ts';
import { ROLLOUT_STOPS } from './rollout-stops.ts';

type Draft = Omit<Finding, 'level' | 'subjects'>;

function finding({ metadata }: ProxyProfile, draft: Draft): Finding {
  return { level: 'ControlPlane', subjects: [`proxyprofile/${metadata.name}`], ...draft };
}

function conditionsOf(profile: ProxyProfile): Readonly<Partial<Record<string, Condition>>> {
  return Object.fromEntries((profile.status?.conditions ?? []).map((condition) => [condition.type, condition]));
}

const KEEPS = 'its nodes keep what they run; nothing is changed';

function notSeen(profile: ProxyProfile): Finding | undefined {
  const { generation = 0, name } = profile.metadata;
  const { observedGeneration = 0 } = profile.status ?? {};
  if (observedGeneration >= generation && profile.status !== undefined) return undefined;
  return finding(profile, {
    code: 'ControllerSilent',
    likelihood: 79,
    summary: 'the controller has not looked at its spec',
    evidence: [`metadata.generation is ${generation}, status.observedGeneration is ${observedGeneration}`],
    consequence: KEEPS,
    next: `kubectl get pods,leases -A -l app.kubernetes.io/name=switchyard; kubectl describe proxyprofile ${name}`,
  });
}

const ACCEPTED_CODES: Readonly<Partial<Record<string, readonly [string, string]>>> = {
  NoMatchingNodes: ['ProfileMatchesNothing', 'it can match no node'],
  SelectorConflict: ['ProfileConflict', 'another profile of the same priority selects the same nodes'],
  InvalidSpec: ['ProfileInvalid', 'its spec is not valid'],
};

function notAccepted(
  profile: ProxyProfile,
  { Accepted: accepted }: ReturnType<typeof conditionsOf>,
): Finding | undefined {
  if (accepted?.status !== 'False') return undefined;
  const [code, summary] = ACCEPTED_CODES[accepted.reason] ?? [
    'ProfileNotAccepted',
    `it is not accepted (${accepted.reason})`,
  ];
  const { name } = profile.metadata;
  return finding(profile, {
    code,
    likelihood: 81,
    summary,
    evidence: [
      accepted.message,
      ...(code === 'ProfileMatchesNothing'
        ? [`spec.nodeSelector is ${JSON.stringify(profile.spec.nodeSelector ?? {})}`]
        : []),
    ],
    consequence: code === 'ProfileMatchesNothing' ? 'the profile does nothing' : KEEPS,
    next: code === 'ProfileMatchesNothing' ? 'kubectl get nodes --show-labels' : `kubectl edit proxyprofile ${name}`,
  });
}

function isComplete({ Progressing: progressing }: ReturnType<typeof conditionsOf>): boolean {
  return progressing?.reason === 'Complete';
}

function stopped(profile: ProxyProfile, conditions: ReturnType<typeof conditionsOf>): Finding | undefined {
  for (const { type, status, reasons, code, likelihood, summary, next } of ROLLOUT_STOPS) {
    const found = conditions[type];
    if (found?.status !== status || !reasons.includes(found.reason)) continue;
    // A pause hurts only where something is left to do.
    if (code === 'RolloutPaused' && isDone(profile)) continue;
    const { updated = 0, matched = 0 } = profile.status?.nodes ?? {};
    return finding(profile, {
      code,
      likelihood,
      summary,
      evidence: [
        `${type}=${status}/${found.reason}: ${found.message}`,
        `${updated} of ${matched} nodes run the target revision`,
      ],
      consequence:
        code === 'RolloutRolledBack'
          ? 'the nodes serve in the last good revision'
          : 'the nodes that are not done keep what they run',
      next: next(profile.metadata.name),
    });
  }
  return undefined;
}

function isDone({ status }: ProxyProfile): boolean {
  const { updated = 0, matched = 0 } = status?.nodes ?? {};
  return matched > 0 && updated === matched;
}

/** One profile: whether it is accepted, and what its rollout waits for. */
export function checkProfile(profile: ProxyProfile): Finding[] {
  const conditions = conditionsOf(profile);
  const silent = notSeen(profile);
  if (silent !== undefined) return [silent];
  const found = notAccepted(profile, conditions) ?? (isComplete(conditions) ? undefined : stopped(profile, conditions));
  return found === undefined ? [] : [found];
}

/** The whole: without a profile nothing happens at all. */
export function checkProfiles({ profiles, subject }: Evidence): Finding[] {
  if (profiles.length > 0) return profiles.flatMap(checkProfile);
  return [
    {
      code: 'NoProfile',
      level: 'ControlPlane',
      likelihood: subject === undefined ? 80 : 50,
      subjects: ['proxyprofiles'],
      summary: 'there is no ProxyProfile',
      evidence: ['the list of ProxyProfiles is empty'],
      consequence: 'Switchyard programs no node; Services work only if another proxy serves them',
      next: 'kubectl apply -f profile.yaml',
    },
  ];
}
