import { listAt, objectAt, textAt, valueAt, type KubeObject } from '../object.ts';
import { AGE_COLUMN, column, NAME_COLUMN } from '../output/columns.ts';
import { subdomainProblems } from '../registry/names.ts';
import type { ResourceKind } from '../registry/resource-kind.ts';
import { forbidden, type FieldProblem } from '../schema/field-problem.ts';
import { defineKind } from './define-kind.ts';

const ROLE_PREFIX = 'node-role.kubernetes.io/';

function statusText(node: KubeObject): string {
  const ready = listAt(node, 'status', 'conditions').find((condition) => textAt(condition, 'type') === 'Ready');
  const words = [ready === undefined ? 'Unknown' : textAt(ready, 'status') === 'True' ? 'Ready' : 'NotReady'];
  if (valueAt(node, 'spec', 'unschedulable') === true) words.push('SchedulingDisabled');
  return words.join(',');
}

function rolesText({ metadata }: KubeObject): string {
  const labels = metadata.labels ?? {};
  const roles = Object.keys(labels).filter((key) => key.startsWith(ROLE_PREFIX));
  const names = roles.map((key) => key.slice(ROLE_PREFIX.length)).filter((name) => name !== '');
  if (labels['kubernetes.io/role']) names.push(labels['kubernetes.io/role']);
  return names.length === 0 ? '<none>' : names.sort().join(',');
}

function addressOf(type: string): (node: KubeObject) => string {
  return (node) => {
    const found = listAt(node, 'status', 'addresses').find((address) => textAt(address, 'type') === type);
    return textAt(found, 'address') || '<none>';
  };
}

function infoOf(name: string): (node: KubeObject) => string {
  return (node) => textAt(node, 'status', 'nodeInfo', name) || '<unknown>';
}

function validate(node: KubeObject, old: KubeObject | undefined): FieldProblem[] {
  if (!old) return [];
  return (['podCIDR', 'providerID'] as const)
    .filter((field) => textAt(old, 'spec', field) !== '' && textAt(old, 'spec', field) !== textAt(node, 'spec', field))
    .map((field) => forbidden(`spec.${field}`, 'node updates may not change it once it is set'));
}

export const NODE: ResourceKind = defineKind({
  group: '',
  version: 'v1',
  kind: 'Node',
  plural: 'nodes',
  shortNames: ['no'],
  isNamespaced: false,
  hasStatus: true,
  columns: [
    NAME_COLUMN,
    column('Status', statusText),
    column('Roles', rolesText),
    AGE_COLUMN,
    column('Version', (node) => textAt(node, 'status', 'nodeInfo', 'kubeletVersion')),
    column('Internal-IP', addressOf('InternalIP'), 1),
    column('External-IP', addressOf('ExternalIP'), 1),
    column('OS-Image', infoOf('osImage'), 1),
    column('Kernel-Version', infoOf('kernelVersion'), 1),
    column('Container-Runtime', infoOf('containerRuntimeVersion'), 1),
  ],
  selectableFields: {
    'spec.unschedulable': (node) => String(valueAt(node, 'spec', 'unschedulable') === true),
  },
  strategy: {
    nameProblems: subdomainProblems,
    prepareCreate(node) {
      node.spec ??= {};
      node.status = {
        daemonEndpoints: { kubeletEndpoint: { Port: 0 } },
        ...objectAt(node, 'status'),
      };
      const { podCIDR } = objectAt(node, 'spec');
      if (typeof podCIDR === 'string') node.spec = { podCIDRs: [podCIDR], ...objectAt(node, 'spec') };
    },
    validate,
  },
});
