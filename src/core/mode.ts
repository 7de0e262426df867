/** The ways a node can run the Service data plane. The words are kube-proxy's (`mode` in KubeProxyConfiguration). */
export const MODES = ['iptables', 'ipvs', 'nftables'] as const;
export type Mode = (typeof MODES)[number];

/** The modes this version implements; a profile that asks for another one is refused when it is applied. */
export const IMPLEMENTED_MODES = MODES;
export type ImplementedMode = (typeof IMPLEMENTED_MODES)[number];
