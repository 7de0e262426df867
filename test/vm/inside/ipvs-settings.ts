import { writeFileSync } from 'node:fs';
import { release } from 'node:os';
import { renderedConfig } from '../../../src/core/api/node-proxy-state.ts';
import { sysctlPath } from '../../../src/core/node/sysctl.ts';
import { desiredSysctls } from '../../../src/core/node/sysctl-plan.ts';
import { inNetns } from '../../../src/kernel/netns.ts';

/** What an agent sets before it programs IPVS mode; the module ip_vs must be there. */
export function applyIpvsSettings(netns: string): void {
  const config = renderedConfig.parse({ mode: 'ipvs' });
  const settings = desiredSysctls('ipvs', config, { cores: 1, kernelRelease: release() });
  inNetns(netns, () => {
    for (const { name, value, source } of settings) {
      if (source === 'mode') writeFileSync(`/proc/sys/${sysctlPath(name)}`, value);
    }
  });
}
