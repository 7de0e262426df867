import { z } from 'zod';
import { IMPLEMENTED_MODES, MODES } from '../mode.ts';
import { COMPARISONS } from '../node/sysctl.ts';
import { checkDataplaneRules, dataplaneFields, DATAPLANE_RULES } from './dataplane-config.ts';
import { nodeAnswer } from '../node/node-question.ts';
import { kernelFields } from './kernel-config.ts';
import { probeFields } from './probe-config.ts';
import { type API_VERSION, celRules, conditions, type ObjectMeta } from './meta.ts';

const time = z.iso.datetime({ offset: true });
const revision = z.string().min(1).max(64);

/** Everything the agent acts on; a revision is a hash of exactly this. */
export const renderedConfig = z
  .strictObject({
    mode: z.enum(IMPLEMENTED_MODES).describe('The mode to run.'),
    ...dataplaneFields,
    ...kernelFields,
    ...probeFields,
  })
  .check(checkDataplaneRules)
  .meta(DATAPLANE_RULES)
  .describe('Everything that the agent needs for this revision; it looks nothing else up.');
export type RenderedConfig = z.infer<typeof renderedConfig>;

/** Not strict outside of `rendered`: an agent that is older than the controller must not stumble over a new field. */
export const nodeProxyStateSpec = z
  .object({
    nodeName: z.string().max(253).describe('The node this is for; the name of this object too.'),
    nodeUID: z.string().max(64).describe('UID of that Node, so that a node made anew under an old name starts clean.'),
    profile: z
      .strictObject({
        name: z.string().max(253).describe('Name of the ProxyProfile.'),
        uid: z.string().max(64).describe('UID of the ProxyProfile.'),
        generation: z.int().min(0).describe('Generation of the ProxyProfile that was rendered.'),
      })
      .describe('Where this came from.'),
    revision: revision.describe('The revision that this node is to run.'),
    action: z
      .enum(['Apply', 'Release'])
      .optional()
      .describe(
        'Apply, also when absent: run the revision. Release: take out everything that is ours, restore the originals, and ' +
          'report no `current` any more.',
      ),
    giveBackTo: z
      .enum(['kube-proxy'])
      .optional()
      .describe('With Release: what is ours goes only when this proxy has come back and serves every Service.'),
    attempt: z
      .object({
        id: z.string().max(128).describe('Names this try: the revision, a dash and a number.'),
        batch: z.int().min(0).optional().describe('Number of its batch in the rollout; the canary is 0.'),
        retryToken: z.string().max(63).optional().describe('spec.rollout.retryToken of the profile at the grant.'),
        grantedAt: time.describe('When the node was allowed to start.'),
        deadlineAt: time.describe('When the node counts as failed and goes back by itself.'),
      })
      .optional()
      .describe('The node holds a slot of the rollout while this is present.'),
    settled: z
      .object({
        at: time.describe('When the controller saw the node healthy in the revision.'),
        batch: z.int().min(0).optional().describe('The batch that brought it there.'),
      })
      .optional()
      .describe('That the node came to run the revision. For the controller only; it counts soaks from here.'),
    rendered: renderedConfig,
  })
  .describe('What the node is to run. Written by the controller only.')
  .meta(
    celRules(
      { rule: 'self.nodeName == oldSelf.nodeName', message: 'nodeName cannot change' },
      { rule: 'self.nodeUID == oldSelf.nodeUID', message: 'nodeUID cannot change' },
    ),
  );
export type NodeProxyStateSpec = z.infer<typeof nodeProxyStateSpec>;

export const ATTEMPT_PHASES = [
  'Preflight',
  'Baseline',
  'Prepare',
  'Program',
  'Verify',
  'AwaitHandover',
  'Commit',
  'Soak',
  'Committed',
  'AwaitReturn',
  'RollingBack',
  'RolledBack',
  'Failed',
] as const;
export type AttemptPhase = (typeof ATTEMPT_PHASES)[number];

export const PROBE_RESULTS = ['Pass', 'Fail', 'Inconclusive'] as const;

export const nodeProxyStateStatus = z
  .strictObject({
    observedGeneration: z.int().min(0).optional().describe('The generation of the spec that this status speaks of.'),
    agent: z
      .strictObject({
        version: z.string().max(64).describe('Version of the agent.'),
        bootID: z.string().max(64).optional().describe('Boot of the node that it runs in.'),
      })
      .optional()
      .describe('The agent that wrote this.'),
    preflight: z
      .strictObject({
        kernel: z.string().max(128).describe('Release of the running kernel.'),
        modes: z.array(z.enum(MODES)).max(8).describe('The modes that this node can run.'),
        missing: z
          .array(z.string().max(1024))
          .max(32)
          .describe('What is missing for the others, with what to do about it.'),
        tools: z
          .array(z.string().max(64))
          .max(16)
          .optional()
          .describe('The programs found that modes or people use, with the flavour of iptables.'),
        warnings: z
          .array(z.string().max(1024))
          .max(8)
          .optional()
          .describe('What may go wrong though the wanted mode can run, such as rules in both flavours of iptables.'),
      })
      .optional()
      .describe('What this node can run, found without touching anything.'),
    current: z
      .strictObject({
        revision: revision.describe('The revision that serves now.'),
        mode: z.enum(MODES).describe('The mode that serves now.'),
        since: time.describe('Since when.'),
      })
      .optional()
      .describe('What the kernel runs now.'),
    lastGood: z
      .strictObject({
        revision: revision.describe('The revision to go back to.'),
        mode: z.enum(MODES).describe('The mode to go back to.'),
      })
      .optional()
      .describe('The last revision that was proven on this node, also kept on its disk.'),
    attempt: z
      .strictObject({
        id: z.string().max(128).describe('The try that this speaks of.'),
        phase: z.enum(ATTEMPT_PHASES).describe('How far it has come.'),
        startedAt: time.describe('When the node began.'),
      })
      .optional()
      .describe('The change that is under way, or the last one.'),
    lastFailure: z
      .strictObject({
        revision: revision.describe('The revision that failed.'),
        attempt: z.string().max(128).optional().describe('The try that failed.'),
        phase: z.enum(ATTEMPT_PHASES).describe('Where it failed.'),
        code: z.string().max(128).describe('One word for why.'),
        message: z.string().max(4096).describe('The same for people.'),
        rolledBack: z.boolean().describe('Whether the node serves in its last good revision again.'),
        at: time.describe('When it failed.'),
      })
      .optional()
      .describe('The last change that failed on this node.'),
    probes: z
      .array(
        z.strictObject({
          name: z.string().max(63).describe('Name of the gate, such as ClusterDNS.'),
          baseline: z.enum(PROBE_RESULTS).optional().describe('What it said before the change.'),
          result: z.enum(PROBE_RESULTS).describe('What it says now.'),
          message: z.string().max(1024).optional().describe('The same for people.'),
          at: time.describe('When the result last changed.'),
        }),
      )
      .max(32)
      .optional()
      .describe('What the agent has tried from its node.')
      .meta({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['name'] }),
    otherProxy: z
      .strictObject({
        kind: z.string().max(63).describe('What it is, such as kube-proxy or Cilium.'),
        running: z.boolean().describe('Whether it runs, as far as this agent can see.'),
        mode: z.enum(MODES).optional().describe('The mode of kube-proxy, as its rules tell.'),
        traces: z
          .array(z.string().max(256))
          .max(16)
          .describe('By what it was noticed: links, tables, chains and ports.'),
      })
      .optional()
      .describe('A Service proxy on this node that is not Switchyard, or what one left behind.'),
    sysctls: z
      .array(
        z.strictObject({
          name: z.string().max(128).describe('Name of the setting.'),
          desired: z
            .string()
            .max(256)
            .optional()
            .describe('The value wanted; absent where no longer any is, and the setting stays as it is until release.'),
          compare: z.enum(COMPARISONS).optional().describe('How the value is compared.'),
          actual: z
            .string()
            .max(256)
            .optional()
            .describe('The value that the kernel has; absent when it has no such setting.'),
          original: z.string().max(256).optional().describe('The value before the first change; put back on release.'),
          problem: z.string().max(1024).optional().describe('Why it is not as wanted.'),
          drifts: z.int().min(0).describe('How often somebody else changed it since the agent started.'),
          lastDrift: time.optional().describe('When that was noticed last.'),
        }),
      )
      .max(96)
      .optional()
      .describe('The kernel settings of this node that the revision speaks of.')
      .meta({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['name'] }),
    conntrack: z
      .strictObject({
        max: z.int().min(0).describe('How many connections the table takes.'),
        buckets: z.int().min(0).describe('Size of its hash table.'),
        memoryBytes: z.int().min(0).describe('Memory that the full table takes, as an estimate.'),
      })
      .optional()
      .describe('The connection tracking table of this node.'),
    dataplane: z
      .strictObject({
        services: z.int().min(0).describe('Service ports in the kernel.'),
        endpoints: z.int().min(0).describe('Backends that they use.'),
        lastSync: time.describe(
          'When the kernel was last proven to hold them. Written on transitions, not per change.',
        ),
      })
      .optional()
      .describe('What the data plane holds, coarsely.'),
    draining: z
      .strictObject({
        mode: z.enum(MODES).describe('The mode that takes no new connections.'),
        since: time.describe('Since when.'),
        deadline: time.describe('When connections that are left are cut off.'),
      })
      .optional()
      .describe('A mode that has been left and still carries the connections that began in it.'),
    answer: nodeAnswer
      .optional()
      .describe('What the agent answers to the annotation switchyard.dev/question; taken out again when that goes.'),
    conditions,
  })
  .describe('What the node runs. Written by its agent only.')
  .meta(
    celRules({
      rule: '!has(oldSelf.observedGeneration) || (has(self.observedGeneration) && self.observedGeneration >= oldSelf.observedGeneration)',
      message: 'observedGeneration never falls',
    }),
  );
export type NodeProxyStateStatus = z.infer<typeof nodeProxyStateStatus>;

export interface NodeProxyState {
  readonly apiVersion: typeof API_VERSION;
  readonly kind: 'NodeProxyState';
  readonly metadata: ObjectMeta;
  readonly spec: NodeProxyStateSpec;
  readonly status?: NodeProxyStateStatus;
}

/** In the order in which they are looked at: the first that is not True gives Ready its reason. */
export const NODE_PROXY_STATE_CONDITIONS = [
  'PreflightPassed',
  'Applied',
  'DataplaneSynced',
  'RolledBack',
  'Drifted',
  'ConntrackHealthy',
  'StateKept',
  'Ready',
] as const;
export type NodeProxyStateConditionType = (typeof NODE_PROXY_STATE_CONDITIONS)[number];
