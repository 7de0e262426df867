import { z } from 'zod';
import { labelKey } from './meta.ts';

const DNS_LABEL = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
const DNS_SUBDOMAIN = /^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/;

/** The label that keeps kube-proxy off a node, unless the profile names another one. */
export const DEFAULT_NODE_LABEL = 'switchyard.dev/kube-proxy-replaced';

/** What is to become of kube-proxy on the nodes of a profile; no part of a revision. */
export const kubeProxyConfig = z
  .strictObject({
    policy: z
      .enum(['TakeOver', 'GiveBack'])
      .default('TakeOver')
      .describe(
        'TakeOver: where kube-proxy runs, its Services are taken over, its DaemonSet is kept off the node and what it left ' +
          'is removed. GiveBack: kube-proxy gets its nodes back, and everything of Switchyard goes once kube-proxy serves.',
      ),
    namespace: z
      .string()
      .max(63)
      .regex(DNS_LABEL)
      .default('kube-system')
      .describe('Namespace of the DaemonSets of kube-proxy.'),
    daemonSets: z
      .array(z.string().max(253).regex(DNS_SUBDOMAIN))
      .min(1)
      .max(8)
      .default(['kube-proxy'])
      .describe('Names of the DaemonSets of kube-proxy; the default is what kubeadm makes.')
      .meta({ 'x-kubernetes-list-type': 'set' }),
    nodeLabel: labelKey
      .default(DEFAULT_NODE_LABEL)
      .describe('Key of the label that keeps kube-proxy off a node; a node affinity in the DaemonSets refers to it.'),
  })
  .prefault({})
  .describe('What is to become of kube-proxy on these nodes.');
export type KubeProxyConfig = z.infer<typeof kubeProxyConfig>;
