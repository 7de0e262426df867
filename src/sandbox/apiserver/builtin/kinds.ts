import type { ResourceKind } from '../registry/resource-kind.ts';
import { VALIDATING_ADMISSION_POLICY, VALIDATING_ADMISSION_POLICY_BINDING } from './admission-registration.ts';
import { CONTROLLER_REVISION, DAEMON_SET } from './apps.ts';
import { LEASE } from './coordination.ts';
import { CONFIG_MAP, ENDPOINTS, NAMESPACE, SECRET, SERVICE_ACCOUNT } from './core.ts';
import { CUSTOM_RESOURCE_DEFINITION } from './custom-resource-definition.ts';
import { DEPLOYMENT } from './deployment.ts';
import { ENDPOINT_SLICE } from './endpoint-slice.ts';
import { EVENT, EVENTS_K8S_IO_EVENT } from './event.ts';
import { JOB } from './job.ts';
import { SERVICE_CIDR } from './networking.ts';
import { NODE } from './node.ts';
import { POD } from './pod.ts';
import { POD_DISRUPTION_BUDGET } from './policy.ts';
import { CLUSTER_ROLE, CLUSTER_ROLE_BINDING, ROLE, ROLE_BINDING } from './rbac.ts';
import { SELF_SUBJECT_ACCESS_REVIEW, SELF_SUBJECT_REVIEW, SELF_SUBJECT_RULES_REVIEW } from './reviews.ts';
import { PRIORITY_CLASS } from './scheduling.ts';
import { SERVICE } from './service.ts';

/** Every built-in kind that is served, in the order that discovery shows. */
export const BUILTIN_KINDS: readonly ResourceKind[] = [
  CONFIG_MAP,
  ENDPOINTS,
  EVENT,
  NAMESPACE,
  NODE,
  POD,
  SECRET,
  SERVICE,
  SERVICE_ACCOUNT,
  VALIDATING_ADMISSION_POLICY,
  VALIDATING_ADMISSION_POLICY_BINDING,
  CUSTOM_RESOURCE_DEFINITION,
  CONTROLLER_REVISION,
  DAEMON_SET,
  DEPLOYMENT,
  SELF_SUBJECT_REVIEW,
  SELF_SUBJECT_ACCESS_REVIEW,
  SELF_SUBJECT_RULES_REVIEW,
  JOB,
  LEASE,
  ENDPOINT_SLICE,
  SERVICE_CIDR,
  EVENTS_K8S_IO_EVENT,
  POD_DISRUPTION_BUDGET,
  CLUSTER_ROLE,
  CLUSTER_ROLE_BINDING,
  ROLE,
  ROLE_BINDING,
  PRIORITY_CLASS,
];
