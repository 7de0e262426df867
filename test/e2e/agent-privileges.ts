/** What the agent's container is given: its test runs with exactly this, and the chart says exactly this. */
export const AGENT_PRIVILEGES = {
  capabilities: {
    /** Rules, links and settings of the network. */
    always: ['NET_ADMIN'],
    /** Not for an agent whose modules are loaded by an init container. */
    modules: ['SYS_MODULE'],
    /** iptables-legacy talks to the kernel through a raw socket. */
    legacy: ['NET_RAW'],
  },
  readOnlyRootFilesystem: true,
  allowPrivilegeEscalation: false,
  seccompProfile: 'RuntimeDefault',
  /** Mounted from the host; nothing else can be written. */
  mounts: [
    { path: '/var/lib/switchyard', readOnly: false },
    { path: '/host/proc/sys', readOnly: false },
    { path: '/lib/modules', readOnly: true },
    { path: '/run/xtables.lock', readOnly: false },
    { path: '/host/sysctl.d', readOnly: false },
    { path: '/host/modules-load.d', readOnly: false },
  ],
} as const;

export type CapabilityNeed = keyof typeof AGENT_PRIVILEGES.capabilities;

/** Numbers of capability.h. */
const CAPABILITY_NUMBERS = { NET_ADMIN: 12n, NET_RAW: 13n, SYS_MODULE: 16n } as const;

/** For `setpriv --bounding-set`. */
export function boundingSet(needs: readonly CapabilityNeed[]): string {
  const names = needs.flatMap((need) => AGENT_PRIVILEGES.capabilities[need]);
  return ['-all', ...names.map((name) => `+${name.toLowerCase()}`)].join(',');
}

/** As /proc/PID/status shows it. */
export function capabilityMask(needs: readonly CapabilityNeed[]): bigint {
  const names = needs.flatMap((need) => AGENT_PRIVILEGES.capabilities[need]);
  return names.reduce((mask, name) => mask | (1n << CAPABILITY_NUMBERS[name]), 0n);
}
