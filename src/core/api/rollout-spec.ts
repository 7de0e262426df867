import { z } from 'zod';
import { ExpressionError, parseCondition } from '../rollout/expression.ts';
import { isTimeZone, WEEKDAYS } from '../rollout/window.ts';
import { duration, labelSelector } from './meta.ts';

const PERCENTAGE = /^([1-9][0-9]?|100)%$/;
const CLOCK_TIME = /^([01][0-9]|2[0-3]):[0-5][0-9]$/;
const HTTP_URL = /^https?:\/\/[^\s]+$/;
const DNS_SUBDOMAIN = /^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/;
const DNS_LABEL = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;
const MAX_NODES = 100_000;

/** How many nodes: a number, or a percentage of the matched ones. */
function nodeShare(minimum: 0 | 1) {
  return (
    z
      .union([z.int().min(minimum).max(MAX_NODES), z.string().max(4).regex(PERCENTAGE)], {
        error: `must be a whole number of at least ${minimum}, or a percentage from "1%" to "100%"`,
      })
      // Not in CEL: those rules are left out as soon as anything else in the object is wrong.
      .meta({
        'x-kubernetes-int-or-string': true,
        minimum,
        maximum: MAX_NODES,
        maxLength: 4,
        pattern: PERCENTAGE.source,
      })
  );
}

/** What the agents, or the Node itself, can say of the health of a node. */
export const BUILTIN_GATES = [
  'DataplaneFresh',
  'APIServerDirect',
  'APIServerClusterIP',
  'ClusterDNS',
  'NoLeftovers',
  'NodeReady',
] as const;
export type BuiltinGate = (typeof BUILTIN_GATES)[number];

const canary = z
  .strictObject({
    count: nodeShare(0)
      .default(1)
      .describe(
        'How many nodes change first: a number, 0 for no canary, or a percentage of the matched nodes (rounded down, but at ' +
          'least 1). Fewer, where fewer nodes match the selector.',
      ),
    selector: labelSelector
      .prefault({})
      .describe('The nodes to choose the canary from; empty means all of the profile.'),
    soak: duration
      .default('10s')
      .describe('How long the canary must stay healthy before anything else changes; for a large fleet, minutes.'),
    approval: z
      .enum(['Auto', 'Manual'])
      .default('Auto')
      .describe(
        'Manual: after the soak, wait until the annotation switchyard.dev/approved-revision of the profile holds the ' +
          'target revision.',
      ),
  })
  .prefault({})
  .describe('The nodes that show whether the revision is any good.');

const window = z.strictObject({
  days: z
    .array(z.enum(WEEKDAYS))
    .max(7)
    .default([])
    .describe('Days of the week on which the window begins; empty means every day.')
    .meta({ 'x-kubernetes-list-type': 'set' }),
  start: z.string().max(5).regex(CLOCK_TIME).describe('When it begins, such as 22:00.'),
  end: z.string().max(5).regex(CLOCK_TIME).describe('When it ends; not after start means on the next day.'),
  timeZone: z
    .string()
    .min(1)
    .max(64)
    .refine(isTimeZone, 'must be the name of a time zone, such as Europe/Berlin')
    .default('UTC')
    .describe('Name of the time zone whose clocks the times are meant by, such as Europe/Berlin.'),
});

const secretRef = z
  .strictObject({
    name: z.string().max(253).regex(DNS_SUBDOMAIN).describe('Name of the Secret.'),
  })
  .optional()
  .describe(
    'A Secret in the namespace of the controller: `token`, or `username` and `password`, are sent along; `ca.crt` names the ' +
      'authorities to trust. Its annotation switchyard.dev/gate-servers names the servers that it may be shown to.',
  );

const ONE_SOURCE = 'exactly one of prometheus, http and job must be given';

const FREE = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } as const;
const free = z.record(z.string(), z.unknown());

/** As much of a Job as people get wrong: one that cannot be made would be noticed after the canary only. */
const jobSpec = free
  .refine((spec) => {
    const pod = free.safeParse(free.safeParse(spec['template']).data?.['spec']).data;
    return Array.isArray(pod?.['containers']) && ['OnFailure', 'Never'].includes(String(pod['restartPolicy']));
  }, 'must be the spec of a Job: template.spec.containers, and template.spec.restartPolicy OnFailure or Never, are required')
  .describe('The spec of a batch/v1 Job, so with a template of its own. It passes when the Job completes.')
  .meta({
    ...FREE,
    required: ['template'],
    properties: {
      template: {
        ...FREE,
        description: 'The pod of the Job.',
        required: ['spec'],
        properties: {
          spec: {
            ...FREE,
            description: 'The spec of the pod; containers, and restartPolicy OnFailure or Never, are required.',
            required: ['containers', 'restartPolicy'],
          },
        },
      },
    },
  });

const gate = z
  .strictObject({
    name: z.string().max(63).regex(DNS_LABEL).describe('Name of the gate, for messages and metrics.'),
    prometheus: z
      .strictObject({
        address: z
          .string()
          .max(512)
          .regex(HTTP_URL)
          .describe('Where Prometheus answers, such as http://prometheus:9090.'),
        query: z.string().min(1).max(4096).describe('The query; every value of its answer is one `result`.'),
        secretRef,
      })
      .optional()
      .describe('Ask a Prometheus server.'),
    http: z
      .strictObject({
        url: z.string().max(2048).regex(HTTP_URL).describe('What to fetch; redirects are not followed.'),
        secretRef,
      })
      .optional()
      .describe('Fetch an address.'),
    job: z
      .strictObject({
        namespace: z.string().max(63).regex(DNS_LABEL).describe('Where the Jobs are made.'),
        template: jobSpec,
      })
      .optional()
      .describe('Run a Job and wait for its end.'),
    success: z
      .string()
      .max(256)
      .optional()
      .describe(
        'What an answer must meet: `result` of Prometheus, or the `status` of HTTP, in arithmetic, comparisons, && || ! and ' +
          'parentheses. Default: result > 0, or status >= 200 && status < 300.',
      ),
    interval: duration.default('30s').describe('Time between two measurements.'),
    count: z.int().min(1).max(1000).optional().describe('How many measurements must pass; 5 by default, 1 for a job.'),
    failureLimit: z.int().min(1).max(1000).default(1).describe('How many failed measurements fail the gate.'),
    onNoData: z
      .enum(['Inconclusive', 'Pass', 'Fail'])
      .default('Inconclusive')
      .describe('What a measurement without an answer counts as. Inconclusive: neither, the rollout waits for data.'),
  })
  .check((context) => {
    const { prometheus, http, job, success } = context.value;
    const given = [prometheus, http, job].filter((each) => each !== undefined);
    const complain = (message: string, path: string[]) =>
      context.issues.push({ code: 'custom', input: context.value, path, message });
    if (given.length !== 1) complain(ONE_SOURCE, []);
    try {
      if (success !== undefined) parseCondition(success, [http === undefined ? 'result' : 'status']);
    } catch (error) {
      if (!(error instanceof ExpressionError)) throw error;
      complain(error.message, ['success']);
    }
  })
  .meta({ oneOf: [{ required: ['prometheus'] }, { required: ['http'] }, { required: ['job'] }] });
export type CustomGate = z.infer<typeof gate>;

const gates = z
  .strictObject({
    builtin: z
      .array(z.enum(BUILTIN_GATES))
      .max(16)
      .default([...BUILTIN_GATES])
      .describe(
        'What must hold on a node for it to count as healthy. A node where one of them fails before the change is not started. ' +
          'DataplaneFresh is the condition DataplaneSynced, which Ready always includes; NodeReady is what the kubelet says; ' +
          'the others stand in status.probes of the NodeProxyState.',
      )
      .meta({ 'x-kubernetes-list-type': 'set' }),
    custom: z
      .array(gate)
      .max(16)
      .default([])
      .describe('Asked by the controller after the canary and after each batch, before the next one starts.')
      .meta({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['name'] }),
  })
  .prefault({})
  .describe('What must pass before further nodes change.');

const pacing = {
  order: z
    .enum(['ZoneThenAge'])
    .default('ZoneThenAge')
    .describe('Which nodes come first: one zone (topology.kubernetes.io/zone) at a time, the oldest nodes first.'),
  batchSoak: duration
    .default('2s')
    .describe('How long a batch must stay healthy before the next one starts; for a large fleet, minutes.'),
  nodeDeadline: duration
    .default('5m')
    .describe(
      'How long one node may take from its start until it is Ready in the new revision; after that it counts as failed. ' +
        'The node goes back by itself at the same time, without the API server.',
    ),
  progressDeadline: duration
    .default('30m')
    .describe('After this long without a node that started or ended, Progressing says DeadlineExceeded.'),
  windows: z
    .array(window)
    .max(16)
    .default([])
    .describe(
      'When canaries and batches may start; empty means always. Going back and new nodes never wait for a window.',
    )
    .meta({ 'x-kubernetes-list-type': 'atomic' }),
} as const;

export const rolloutSpec = z
  .strictObject({
    paused: z
      .boolean()
      .default(false)
      .describe(
        'Start no further node. Nodes that are changing finish or go back; nodes that changed stay as they are.',
      ),
    dryRun: z.boolean().default(false).describe('Start nothing; status.plan shows what would be done.'),
    retryToken: z
      .string()
      .max(63)
      .default('')
      .describe('Any text; change it to try a rejected revision, or the nodes that failed it, once more.'),
    canary,
    maxUnavailable: nodeShare(1)
      .default(1)
      .describe(
        'How many nodes may be not Ready at one time, for whatever cause: a number, or a percentage of the matched nodes ' +
          '(rounded down, but at least 1).',
      ),
    ignoreNotReadyAfter: duration
      .default('10m')
      .describe('Nodes whose kubelet is not Ready for longer leave the count and the plan, and are listed as skipped.'),
    maxFailures: z
      .int()
      .min(1)
      .max(MAX_NODES)
      .default(1)
      .describe('How many nodes may fail this revision before onFailure.fleet is done.'),
    ...pacing,
    gates,
    onFailure: z
      .strictObject({
        node: z.enum(['Rollback']).default('Rollback').describe('A node that fails goes back by itself.'),
        fleet: z
          .enum(['RollbackAll', 'RollbackBatch', 'Pause'])
          .default('RollbackAll')
          .describe(
            'At maxFailures, or when a gate fails: bring all nodes back to the last completed revision, or only those of the ' +
              'batch that failed, or stop where they are. The spec is never edited.',
          ),
      })
      .prefault({})
      .describe('What to do about failures.'),
    onInconclusive: z
      .enum(['Pause', 'Continue'])
      .default('Pause')
      .describe('What to do while a gate has no data; the annotation switchyard.dev/approved-revision overrules it.'),
    newNodes: z
      .enum(['Auto', 'LastGood', 'Target'])
      .default('Auto')
      .describe(
        'What nodes that join during a rollout are given: the last completed revision (LastGood), the new one (Target), or ' +
          'the new one once its canary has passed (Auto).',
      ),
  })
  .describe('How the nodes follow a change. None of these fields makes a new revision.');
export type RolloutSpec = z.infer<typeof rolloutSpec>;
