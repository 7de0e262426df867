import { z } from 'zod';
import { IMPLEMENTED_MODES } from '../mode.ts';
import { checkDataplaneRules, dataplaneFields, DATAPLANE_RULES } from './dataplane-config.ts';
import { API_VERSION, conditions, duration, labelSelector, type ObjectMeta } from './meta.ts';

const MAX_UNAVAILABLE = 'must be a whole number of at least 1, or a percentage from "1%" to "100%"';
const PERCENTAGE = /^([1-9][0-9]?|100)%$/;

const rollout = z
  .strictObject({
    paused: z
      .boolean()
      .default(false)
      .describe(
        'Start no further node. Nodes that are changing finish or go back; nodes that changed stay as they are.',
      ),
    maxUnavailable: z
      .union([z.int().min(1).max(100_000), z.string().max(4).regex(PERCENTAGE)], { error: MAX_UNAVAILABLE })
      .default(1)
      .describe(
        'How many nodes may be not Ready at one time, for whatever cause: a number, or a percentage of the matched nodes ' +
          '(rounded down, but at least 1).',
      )
      // Not in CEL: those rules are left out as soon as anything else in the object is wrong.
      .meta({
        'x-kubernetes-int-or-string': true,
        minimum: 1,
        maximum: 100_000,
        maxLength: 4,
        pattern: PERCENTAGE.source,
      }),
    maxFailures: z
      .int()
      .min(1)
      .max(100_000)
      .default(1)
      .describe('How many nodes may fail this revision before no further node is started.'),
    nodeDeadline: duration
      .default('5m')
      .describe(
        'How long one node may take from its start until it is Ready in the new revision; after that it counts as failed. ' +
          'The node goes back by itself at the same time, without the API server.',
      ),
  })
  .describe('How the nodes follow a change. None of these fields makes a new revision.');

export const proxyProfileSpec = z
  .strictObject({
    mode: z
      .enum(IMPLEMENTED_MODES)
      .describe('The mode every selected node runs the Service data plane in. Never falls back to another one.'),
    nodeSelector: labelSelector.prefault({}).describe('The nodes this profile is for; empty selects every Linux node.'),
    priority: z
      .int()
      .min(-1_000_000_000)
      .max(1_000_000_000)
      .default(0)
      .describe(
        'Decides between profiles that select the same node: the higher one wins. Where two of the same priority select a ' +
          'node, both are not Accepted and the node keeps what it runs.',
      ),
    ...dataplaneFields,
    rollout: rollout.prefault({}),
  })
  .check(checkDataplaneRules)
  .meta(DATAPLANE_RULES);
export type ProxyProfileSpec = z.infer<typeof proxyProfileSpec>;
export type RolloutSpec = ProxyProfileSpec['rollout'];

const count = z.int().min(0);

export const proxyProfileStatus = z.strictObject({
  observedGeneration: z.int().min(0).optional().describe('The generation of the spec that this status speaks of.'),
  revision: z
    .strictObject({
      target: z.string().max(64).optional().describe('The revision that the nodes are brought to.'),
      lastGood: z.string().max(64).optional().describe('The last revision that every matched node ran.'),
    })
    .optional()
    .describe('A revision is a hash of everything that a node acts on.'),
  nodes: z
    .strictObject({
      matched: count.describe('Nodes that this profile is for.'),
      updated: count.describe('Nodes that run the target revision.'),
      ready: count.describe('Nodes whose data plane is Ready, in whatever revision.'),
      inProgress: count.describe('Nodes that are changing now.'),
      failed: count.describe('Nodes that failed the target revision.'),
      waiting: count.describe('Nodes that have not been started.'),
      skipped: count.describe('Nodes that the selector matches but that cannot be managed, such as Windows nodes.'),
    })
    .optional()
    .describe('The nodes, counted anew from the node objects each time.'),
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

/** The document a user writes; for `--profile FILE`, where no API server checks and defaults it. */
export const proxyProfileDocument = z.strictObject({
  apiVersion: z.literal(API_VERSION),
  kind: z.literal('ProxyProfile'),
  metadata: z.looseObject({ name: z.string() }),
  spec: proxyProfileSpec,
  status: z.unknown().optional(),
});

export interface ProxyProfile {
  readonly apiVersion: typeof API_VERSION;
  readonly kind: 'ProxyProfile';
  readonly metadata: ObjectMeta;
  readonly spec: ProxyProfileSpec;
  readonly status?: ProxyProfileStatus;
}

export const PROXY_PROFILE_CONDITIONS = ['Accepted', 'Progressing', 'Available', 'Degraded'] as const;
export type ProxyProfileConditionType = (typeof PROXY_PROFILE_CONDITIONS)[number];
