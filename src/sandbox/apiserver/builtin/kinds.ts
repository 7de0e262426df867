import type { ResourceKind } from '../registry/resource-kind.ts';
import { LEASE } from './coordination.ts';
import { CONFIG_MAP, ENDPOINTS, NAMESPACE, SECRET, SERVICE_ACCOUNT } from './core.ts';
import { CUSTOM_RESOURCE_DEFINITION } from './custom-resource-definition.ts';
import { NODE } from './node.ts';
import { SERVICE } from './service.ts';

/** Every built-in kind that is served, in the order that discovery shows. */
export const BUILTIN_KINDS: readonly ResourceKind[] = [
  CONFIG_MAP,
  ENDPOINTS,
  NAMESPACE,
  NODE,
  SECRET,
  SERVICE,
  SERVICE_ACCOUNT,
  CUSTOM_RESOURCE_DEFINITION,
  LEASE,
];
