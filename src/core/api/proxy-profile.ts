import { z } from 'zod';
import { IMPLEMENTED_MODES } from '../mode.ts';
import { checkDataplaneRules, dataplaneFields, DATAPLANE_RULES } from './dataplane-config.ts';
import { kernelFields } from './kernel-config.ts';
import { kubeProxyConfig } from './kube-proxy-config.ts';
import { probeFields } from './probe-config.ts';
import { API_VERSION, labelSelector, type ObjectMeta } from './meta.ts';
import { rolloutSpec } from './rollout-spec.ts';
import type { ProxyProfileStatus } from './rollout-status.ts';

export { proxyProfileStatus, type ProxyProfileStatus } from './rollout-status.ts';
export type { RolloutSpec } from './rollout-spec.ts';

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
    ...kernelFields,
    ...probeFields,
    kubeProxy: kubeProxyConfig,
    onDelete: z
      .enum(['Keep', 'Release'])
      .default('Keep')
      .describe(
        'When this profile is deleted: the nodes keep what they run, or their agents take it out again, within maxUnavailable, and ' +
          'kube-proxy comes back first where it was kept off.',
      ),
    rollout: rolloutSpec.prefault({}),
  })
  .check(checkDataplaneRules)
  .meta(DATAPLANE_RULES);
export type ProxyProfileSpec = z.infer<typeof proxyProfileSpec>;

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

export const PROXY_PROFILE_CONDITIONS = ['Accepted', 'Progressing', 'Available', 'Degraded', 'Paused'] as const;
export type ProxyProfileConditionType = (typeof PROXY_PROFILE_CONDITIONS)[number];
