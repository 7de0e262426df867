import { z } from 'zod';
import { conditions } from './meta.ts';

const count = z.int().min(0);
const revision = z.string().max(64);
const time = z.iso.datetime({ offset: true });

const rejected = z.strictObject({
  revision: revision.describe('The revision that is not tried again.'),
  retryToken: z.string().max(63).optional().describe('spec.rollout.retryToken at that time; another one lifts this.'),
  scope: z.enum(['All', 'Batch']).describe('Which nodes go back: all, or those of the failed batch and later ones.'),
  batch: z.int().min(0).optional().describe('The first batch that goes back, where the scope is Batch.'),
  cause: z.string().max(128).describe('One word for why.'),
  message: z.string().max(4096).describe('The same for people.'),
  at: time.describe('When it was rejected.'),
});
export type RejectedRevision = z.infer<typeof rejected>;

export const ROLLOUT_STEPS = ['Preflight', 'Canary', 'Batch', 'RollingBack', 'Done'] as const;
export type RolloutStep = (typeof ROLLOUT_STEPS)[number];

const progress = z.strictObject({
  step: z.enum(ROLLOUT_STEPS).describe('What the rollout is at.'),
  batch: z.int().min(0).optional().describe('Number of the batch; the canary is 0.'),
  of: z.int().min(0).optional().describe('Batches that are needed as it looks now.'),
  startedAt: time.describe('When this rollout, or the way back, began.'),
  soakUntil: time.optional().describe('Until when what changed last must stay healthy.'),
  deadlineAt: time.optional().describe('When Progressing says DeadlineExceeded unless a node starts or ends before.'),
});

export const proxyProfileStatus = z.strictObject({
  observedGeneration: z.int().min(0).optional().describe('The generation of the spec that this status speaks of.'),
  revision: z
    .strictObject({
      target: revision.optional().describe('The revision that the spec asks for.'),
      lastGood: revision
        .optional()
        .describe(
          'The last revision that every matched node ran, soaked and past its gates; the target of a rollback.',
        ),
      rejected: z
        .array(rejected)
        .max(1)
        .optional()
        .describe('The target, once it was rejected; until the target or spec.rollout.retryToken changes.')
        .meta({ 'x-kubernetes-list-type': 'atomic' }),
    })
    .optional()
    .describe('A revision is a hash of everything that a node acts on.'),
  rollout: progress.optional().describe('How far the rollout has come.'),
  nodes: z
    .strictObject({
      matched: count.describe('Nodes that this profile is for.'),
      updated: count.describe('Nodes that run the target revision.'),
      ready: count.describe('Nodes whose data plane is Ready, in whatever revision.'),
      inProgress: count.describe('Nodes that are changing now.'),
      failed: count.describe('Nodes that failed the revision they were given.'),
      rolledBack: count.describe('Nodes of these that serve in what they ran before.'),
      waiting: count.describe('Nodes that have not been started.'),
      blocked: count.describe('Nodes of these that cannot be started: they cannot run the mode, or were ill before.'),
      skipped: count.describe('Nodes that are left out: not Linux, or dead for longer than ignoreNotReadyAfter.'),
      agentMissing: count.describe(
        'Nodes whose agent has never reported although it was asked to, or is not heard any more.',
      ),
      conflicted: count.describe('Nodes that another profile of the same priority selects too.'),
    })
    .optional()
    .describe('The nodes, counted anew from the node objects each time.'),
  plan: z
    .array(
      z.strictObject({
        node: z.string().max(253).describe('Name of the node.'),
        from: z.string().max(64).optional().describe('The mode that it runs; absent on a node that runs nothing yet.'),
        to: z.string().max(64).describe('The mode that it is brought to.'),
        revision: revision.describe('The revision that it is brought to.'),
        batch: z.int().min(0).optional().describe('In which batch, as it looks now; the canary is 0.'),
      }),
    )
    .max(20)
    .optional()
    .describe('The next 20 nodes, in the order in which they change.')
    .meta({ 'x-kubernetes-list-type': 'atomic' }),
  gates: z
    .array(
      z.strictObject({
        name: z.string().max(63).describe('Name of the gate.'),
        result: z.enum(['Running', 'Passed', 'Failed', 'Inconclusive']).describe('What it says.'),
        message: z.string().max(1024).describe('The same for people.'),
      }),
    )
    .max(16)
    .optional()
    .describe('What the gates say of the batch that changed last.')
    .meta({ 'x-kubernetes-list-type': 'atomic' }),
  problems: z
    .array(
      z.strictObject({
        node: z.string().max(253).describe('Name of the node.'),
        reason: z.string().max(1024).describe('One word for what is wrong.'),
        message: z.string().max(4096).describe('The same for people.'),
      }),
    )
    .max(20)
    .optional()
    .describe('The first 20 nodes that need attention.')
    .meta({ 'x-kubernetes-list-type': 'atomic' }),
  conditions,
});
export type ProxyProfileStatus = z.infer<typeof proxyProfileStatus>;
