import type { WriteOptions } from './registry/write-options.ts';
import { PRIORITY_CLASS, SYSTEM_PRIORITIES } from './builtin/scheduling.ts';
import { SERVICE } from './builtin/service.ts';
import { SERVICE_CIDR } from './builtin/networking.ts';
import { NAMESPACE } from './builtin/core.ts';
import type { KubeObject } from './object.ts';
import { createObject } from './registry/create.ts';
import { decodeObject } from './registry/decode.ts';
import type { Registry } from './registry/registry.ts';
import type { ResourceKind } from './registry/resource-kind.ts';
import type { JsonObject } from './schema/json-schema.ts';

const NAMESPACES = ['default', 'kube-system', 'kube-public', 'kube-node-lease'];

/**
 * Creates what every cluster has from the start: four namespaces, two priority classes, the Service `kubernetes` and where
 * its address is from.
 */
export function createInitialObjects(
  registry: Registry,
  port: number,
  serviceCidrs: readonly (string | undefined)[],
): void {
  for (const name of NAMESPACES) add(registry, NAMESPACE, { metadata: { name } });
  for (const [name, value] of Object.entries(SYSTEM_PRIORITIES)) {
    add(registry, PRIORITY_CLASS, { metadata: { name }, value });
  }
  add(registry, SERVICE_CIDR, {
    metadata: { name: 'kubernetes' },
    spec: { cidrs: serviceCidrs.filter((cidr) => cidr !== undefined) },
  });
  add(registry, SERVICE, {
    metadata: {
      name: 'kubernetes',
      namespace: 'default',
      labels: { component: 'apiserver', provider: 'kubernetes' },
    },
    spec: {
      clusterIP: registry.services.firstAddress,
      ports: [{ name: 'https', port: 443, protocol: 'TCP', targetPort: port }],
    },
  });
}

function add(registry: Registry, kind: ResourceKind, body: JsonObject): KubeObject {
  const write: WriteOptions = {
    isDryRun: false,
    fieldManager: 'kube-apiserver',
    fieldValidation: 'Strict',
    warnings: [],
  };
  return createObject(registry, kind, decodeObject(kind, body, { write }), write);
}
