/** What stops a rollout, as a condition of its profile says it. */
export interface RolloutStop {
  readonly type: 'Degraded' | 'Paused' | 'Progressing';
  readonly status: 'True' | 'False';
  readonly reasons: readonly string[];
  readonly code: string;
  readonly likelihood: number;
  readonly summary: string;
  readonly next: (name: string) => string;
}

/** The worst first. */
export const ROLLOUT_STOPS: readonly RolloutStop[] = [
  {
    type: 'Degraded',
    status: 'True',
    reasons: ['RollbackFailed'],
    code: 'RollbackFailed',
    likelihood: 80,
    summary: 'nodes could not go back to the last good revision',
    next: (name) => `kubectl switchyard status ${name}`,
  },
  {
    type: 'Degraded',
    status: 'True',
    reasons: ['RolledBack'],
    code: 'RolloutRolledBack',
    likelihood: 76,
    summary: 'its revision was rejected and the nodes went back',
    next: (name) => `kubectl switchyard status ${name}; correct the spec, or change spec.rollout.retryToken`,
  },
  {
    type: 'Paused',
    status: 'True',
    reasons: ['FailureBudgetSpent'],
    code: 'RolloutFailed',
    likelihood: 75,
    summary: 'its rollout has stopped after failures',
    next: (name) => `kubectl switchyard status ${name}`,
  },
  {
    type: 'Paused',
    status: 'True',
    reasons: ['AwaitingApproval', 'GateInconclusive'],
    code: 'RolloutAwaitsApproval',
    likelihood: 57,
    summary: 'its rollout waits for a person',
    next: (name) => `kubectl switchyard resume --approve ${name}`,
  },
  {
    type: 'Paused',
    status: 'True',
    reasons: ['UserRequested'],
    code: 'RolloutPaused',
    likelihood: 56,
    summary: 'its rollout is paused',
    next: (name) => `kubectl switchyard resume ${name}`,
  },
  {
    type: 'Progressing',
    status: 'False',
    reasons: ['PreflightFailed'],
    code: 'ModeUnsupported',
    likelihood: 87,
    summary: 'its nodes lack what its mode needs',
    next: (name) => `kubectl switchyard status ${name}`,
  },
  {
    type: 'Progressing',
    status: 'False',
    reasons: ['NodesBlocked', 'NodeFailed', 'NoCanary', 'GateFailed', 'FailureBudgetSpent', 'DeadlineExceeded'],
    code: 'RolloutBlocked',
    likelihood: 73,
    summary: 'its rollout cannot go on',
    next: (name) => `kubectl switchyard status ${name}`,
  },
  {
    type: 'Progressing',
    status: 'False',
    reasons: ['OutsideWindow'],
    code: 'RolloutOutsideWindow',
    likelihood: 54,
    summary: 'its rollout waits for its window',
    next: (name) => `kubectl get proxyprofile ${name} -o jsonpath='{.spec.rollout.window}'`,
  },
  {
    type: 'Progressing',
    status: 'True',
    reasons: ['WaitingForSlot'],
    code: 'RolloutWaitsForNodes',
    likelihood: 64,
    summary: 'its rollout waits until enough nodes are available',
    next: (name) => `kubectl switchyard status ${name}`,
  },
];
