import type { FirewalledPorts } from '../../core/diagnose/firewall.ts';
import type { Mode } from '../../core/mode.ts';
import type { ServicePorts } from '../../core/service/snapshot.ts';

/**
 * Which ports a firewall of the host must let through. What is translated before the routing decision is forwarded, so only
 * this comes in by the hook input: NodePorts in IPVS mode, health check ports, and endpoints with the node's own address.
 */
export function firewalledPorts(
  servicePorts: ServicePorts,
  mode: Mode | null,
  localAddresses: readonly string[],
): FirewalledPorts {
  const local = new Set(localAddresses);
  const all = [...servicePorts.values()];
  const nodePorts = all.flatMap(({ nodePort }) => (nodePort === 0 ? [] : [nodePort]));
  const healthChecks = all.flatMap(({ healthCheckNodePort: port }) => (port === 0 ? [] : [port]));
  const ofNode = all.flatMap(({ clusterBackends }) =>
    clusterBackends.filter(({ address }) => local.has(address)).map(({ port }) => port),
  );
  return {
    nodePorts: [...new Set(nodePorts)],
    input: [
      ...(mode === 'ipvs' && nodePorts.length > 0 ? [{ what: 'NodePorts', ports: nodePorts }] : []),
      ...(healthChecks.length > 0 ? [{ what: 'health check ports', ports: healthChecks }] : []),
      ...(ofNode.length > 0 ? [{ what: 'endpoints in the host network', ports: ofNode }] : []),
    ],
  };
}
