import { z } from 'zod';
import { IPVS_SCHEDULERS } from '../service/ipvs-options.ts';
import { MODES } from '../mode.ts';
import { COMPARISONS, isSingleNumber, SYSCTL_NAME, SYSCTL_VALUE } from '../node/sysctl.ts';
import { cidr } from './dataplane-config.ts';
import { celRules, duration } from './meta.ts';

const ONE_NUMBER = 'AtLeast and AtMost compare one number';

const sysctl = z
  .strictObject({
    name: z
      .string()
      .max(128)
      .regex(SYSCTL_NAME, 'must be a network setting that a Service proxy may change')
      .describe('Name as sysctl(8) writes it, such as net.netfilter.nf_conntrack_max. Network settings only.'),
    value: z.string().max(256).regex(SYSCTL_VALUE).describe('The value wanted: numbers, as /proc/sys shows them.'),
    compare: z
      .enum(COMPARISONS)
      .default('Equal')
      .describe('Equal sets exactly this value; AtLeast never lowers and AtMost never raises what the node has.'),
    whenModes: z
      .array(z.enum(MODES))
      .max(MODES.length)
      .default([])
      .describe('Only while the node runs one of these modes; empty means always.')
      .meta({ 'x-kubernetes-list-type': 'set' }),
  })
  .refine(({ compare, value }) => compare === 'Equal' || isSingleNumber(value), {
    message: ONE_NUMBER,
    path: ['value'],
  })
  .meta(
    celRules({
      rule: "!has(self.compare) || self.compare == 'Equal' || self.value.matches('^-?[0-9]{1,18}$')",
      message: ONE_NUMBER,
    }),
  );

export const STRICT_ARP = ['Unmanaged', 'Enforced', 'Restored'] as const;

/** What a node is told beside its rules: modules, sysctls and connection tracking. Part of the revision. */
export const kernelFields = {
  ipvs: z
    .strictObject({
      scheduler: z
        .enum(IPVS_SCHEDULERS)
        .default('rr')
        .describe('IPVS scheduler of Services that name none; its kernel module is loaded.'),
      strictARP: z
        .enum(STRICT_ARP)
        .default('Unmanaged')
        .describe(
          'Answer ARP only for addresses of the asked interface, which load balancers in layer 2 need beside IPVS mode. ' +
            'Enforced sets it in IPVS mode; Restored puts back what the node had before; Unmanaged leaves it alone.',
        ),
      tcpTimeout: duration
        .default('0s')
        .describe('How long IPVS remembers an idle TCP connection; 0s leaves it as it is.'),
      tcpFinTimeout: duration
        .default('0s')
        .describe('How long IPVS remembers a TCP connection that is being closed; 0s leaves it as it is.'),
      udpTimeout: duration
        .default('0s')
        .describe('How long IPVS remembers a UDP flow after its last packet; 0s leaves it as it is.'),
      excludeCIDRs: z
        .array(cidr)
        .max(64)
        .default([])
        .describe(
          'Addresses of virtual servers that belong to others: they stay where kube-proxy is replaced in IPVS mode and what ' +
            'it left is removed. Beside that, a virtual server that Switchyard has not made always stays.',
        )
        .meta({ 'x-kubernetes-list-type': 'atomic' }),
      drainDeadline: duration
        .default('1h0m0s')
        .describe(
          'Connections through IPVS outlive a change to another mode for as long as this; what is left then is cut off. 0s cuts ' +
            'them off at once.',
        ),
    })
    .prefault({})
    .describe('What concerns IPVS mode.'),
  kernel: z
    .strictObject({
      modules: z
        .strictObject({
          extra: z
            .array(
              z
                .string()
                .max(64)
                .regex(/^[a-zA-Z0-9_-]+$/),
            )
            .max(32)
            .default([])
            .describe('Further kernel modules to load. What the mode and its scheduler need is always loaded.')
            .meta({ 'x-kubernetes-list-type': 'set' }),
        })
        .prefault({})
        .describe('Kernel modules. Unloaded only on release, and only those that were loaded for this.'),
      sysctls: z
        .array(sysctl)
        .max(64)
        .default([])
        .describe(
          'Kernel settings. One that cannot be applied fails the change before anything is programmed. Each is put back on ' +
            'release, never when the agent merely ends.',
        )
        .meta({ 'x-kubernetes-list-type': 'atomic' }),
      drift: z
        .enum(['Reapply', 'Report'])
        .default('Reapply')
        .describe('When somebody else changes a setting or unloads a module: set it again, or only say so.'),
      onRelease: z
        .enum(['Restore', 'Keep'])
        .default('Restore')
        .describe(
          'What release does with settings and modules: put back what the node had before, or keep what it has.',
        ),
    })
    .prefault({})
    .describe('Modules and settings of the kernel.'),
  conntrack: z
    .strictObject({
      maxPerCore: z
        .int()
        .min(0)
        .max(16_777_216)
        .default(32_768)
        .describe('Connections to track per CPU core, at most 1048576 in all; 0 leaves the size as it is.'),
      min: z
        .int()
        .min(0)
        .max(268_435_456)
        .default(131_072)
        .describe(
          'Connections to track at least, however few the cores. A larger table of the node is never made smaller.',
        ),
      tcpEstablishedTimeout: duration
        .default('24h0m0s')
        .describe('How long an idle TCP connection is remembered; 0s leaves it as it is.'),
      tcpCloseWaitTimeout: duration
        .default('1h0m0s')
        .describe('How long a TCP connection in CLOSE_WAIT is remembered; 0s leaves it as it is.'),
      tcpBeLiberal: z
        .boolean()
        .default(false)
        .describe('Treat TCP packets outside of the window as part of their connection.'),
      udpTimeout: duration
        .default('0s')
        .describe('How long an unanswered UDP flow is remembered; 0s leaves it as it is.'),
      udpStreamTimeout: duration
        .default('0s')
        .describe('How long an answered UDP flow is remembered; 0s leaves it as it is.'),
    })
    .prefault({})
    .describe(
      'Size and timeouts of the connection tracking table, in the words and with the defaults of kube-proxy. Where the kernel ' +
        'does not let them be set the node says so and goes on.',
    ),
} as const;
