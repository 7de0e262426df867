import { z } from 'zod';
import { celRules } from './meta.ts';

const inner = (pattern: RegExp): string => pattern.source.slice(1, -1);
const CIDR = `(${inner(z.regexes.cidrv4)}|${inner(z.regexes.cidrv6)})`;
export const cidr = z
  .string()
  .max(49)
  .regex(new RegExp(`^${CIDR}$`));
const INTERFACE_NAME = /^[^\s/:]{1,15}$/;

const PRIMARY = 'primary';
const PRIMARY_STANDS_ALONE = '"primary" must stand alone';

export const DETECT_LOCAL_MODES = ['ClusterCIDR', 'NodeCIDR', 'BridgeInterface', 'InterfaceNamePrefix'] as const;

const NEEDS_BRIDGE = 'detectLocalMode BridgeInterface needs detectLocal.bridgeInterface';
const NEEDS_PREFIX = 'detectLocalMode InterfaceNamePrefix needs detectLocal.interfaceNamePrefix';

/**
 * What the data plane can be told, in the words of KubeProxyConfiguration. What kube-proxy has once a mode
 * (masqueradeAll, masqueradeBit) stands here once: during a switch two modes work on the same packets.
 */
export const dataplaneFields = {
  detectLocalMode: z
    .enum(DETECT_LOCAL_MODES)
    .default('ClusterCIDR')
    .describe(
      'How traffic from pods of this cluster is recognised: by the addresses in clusterCIDR, by the CIDRs of the own node ' +
        '(NodeCIDR), by the interface it comes in on (BridgeInterface, InterfaceNamePrefix).',
    ),
  detectLocal: z
    .strictObject({
      bridgeInterface: z
        .string()
        .max(15)
        .regex(INTERFACE_NAME)
        .optional()
        .describe('Interface that pods are attached to.'),
      interfaceNamePrefix: z
        .string()
        .max(15)
        .regex(INTERFACE_NAME)
        .optional()
        .describe('What the names of the interfaces of pods begin with.'),
    })
    .prefault({})
    .describe('What the interface modes of detectLocalMode need.'),
  clusterCIDR: z
    .string()
    .max(99)
    .regex(new RegExp(`^(${CIDR}(,${CIDR})?)?$`))
    .default('')
    .describe(
      'Addresses of all pods: one CIDR, or one of each family separated by a comma. With it, connections from elsewhere to ' +
        'a ClusterIP are masqueraded; empty means that nothing is recognised as a pod.',
    ),
  nodePortAddresses: z
    .array(
      z
        .string()
        .max(49)
        .regex(new RegExp(`^(${PRIMARY}|${CIDR})$`), 'must be a CIDR, or "primary"'),
    )
    .max(32)
    .refine((list) => !list.includes(PRIMARY) || list.length === 1, PRIMARY_STANDS_ALONE)
    .default([])
    .describe(
      'Addresses of the node that accept NodePorts: those inside these CIDRs, or "primary" for the first InternalIP of each ' +
        'family; empty means all, in every mode.',
    )
    .meta({
      'x-kubernetes-list-type': 'atomic',
      ...celRules({
        rule: `!self.exists(each, each == '${PRIMARY}') || self.size() == 1`,
        message: PRIMARY_STANDS_ALONE,
      }),
    }),
  localhostNodePorts: z
    .boolean()
    .default(true)
    .describe(
      'Whether NodePorts answer on 127.0.0.0/8 too, for processes of the node, where nodePortAddresses lets them; not in IPVS ' +
        'mode, and never on ::1. It needs route_localnet; packets for 127.0.0.0/8 that come in from elsewhere stay dropped.',
    ),
  masqueradeAll: z.boolean().default(false).describe('Masquerade every connection to a ClusterIP, from pods too.'),
  masqueradeBit: z
    .int()
    .min(0)
    .max(31)
    .default(14)
    .describe('Bit of the packet mark that asks for masquerading; 14 is 0x4000.'),
} as const;

/** The rules between fields of `dataplaneFields`, for the object that holds them. */
export const DATAPLANE_RULES = celRules(
  {
    rule: "self.detectLocalMode != 'BridgeInterface' || (has(self.detectLocal) && has(self.detectLocal.bridgeInterface))",
    message: NEEDS_BRIDGE,
  },
  {
    rule: "self.detectLocalMode != 'InterfaceNamePrefix' || (has(self.detectLocal) && has(self.detectLocal.interfaceNamePrefix))",
    message: NEEDS_PREFIX,
  },
);

interface DetectLocalFields {
  readonly detectLocalMode: (typeof DETECT_LOCAL_MODES)[number];
  readonly detectLocal: {
    readonly bridgeInterface?: string | undefined;
    readonly interfaceNamePrefix?: string | undefined;
  };
}

/** The same rules for zod's `check`. */
export function checkDataplaneRules(context: z.core.ParsePayload<DetectLocalFields>): void {
  const { detectLocalMode: mode, detectLocal } = context.value;
  const complain = (field: string, message: string) =>
    context.issues.push({ code: 'custom', input: context.value, path: ['detectLocal', field], message });
  if (mode === 'BridgeInterface' && detectLocal.bridgeInterface === undefined)
    complain('bridgeInterface', NEEDS_BRIDGE);
  if (mode === 'InterfaceNamePrefix' && detectLocal.interfaceNamePrefix === undefined) {
    complain('interfaceNamePrefix', NEEDS_PREFIX);
  }
}
