import { listAt, objectAt, scalarText, textAt, type KubeObject } from '../object.ts';
import { AGE_COLUMN, column, NAME_COLUMN } from '../output/columns.ts';
import { label1035Problems } from '../registry/names.ts';
import type { ResourceKind } from '../registry/resource-kind.ts';
import { defineKind } from './define-kind.ts';
import {
  allocateForService,
  applyServiceDefaults,
  dropFieldsOfOldType,
  keepAllocations,
  portsOf,
  typeOf,
} from './service-defaults.ts';
import { serviceProblems } from './service-validation.ts';

function externalText(service: KubeObject): string {
  const type = typeOf(service);
  if (type === 'ExternalName') return textAt(service, 'spec', 'externalName');
  const given = listAt(service, 'spec', 'externalIPs').map(String);
  const ingress = listAt(service, 'status', 'loadBalancer', 'ingress').map(
    (entry) => textAt(entry, 'ip') || textAt(entry, 'hostname'),
  );
  const all = [...(type === 'LoadBalancer' ? ingress : []), ...given];
  if (all.length > 0) return all.join(',');
  return type === 'LoadBalancer' ? '<pending>' : '<none>';
}

function portsText(service: KubeObject): string {
  const texts = portsOf(service).map(({ port, nodePort, protocol }) =>
    nodePort
      ? `${scalarText(port)}:${scalarText(nodePort)}/${scalarText(protocol)}`
      : `${scalarText(port)}/${scalarText(protocol)}`,
  );
  return texts.length === 0 ? '<none>' : texts.join(',');
}

function selectorText(service: KubeObject): string {
  const terms = Object.entries(objectAt(service, 'spec', 'selector')).map(
    ([key, value]) => `${key}=${scalarText(value)}`,
  );
  return terms.length === 0 ? '<none>' : terms.sort().join(',');
}

export const SERVICE: ResourceKind = defineKind({
  group: '',
  version: 'v1',
  kind: 'Service',
  plural: 'services',
  shortNames: ['svc'],
  categories: ['all'],
  isNamespaced: true,
  hasStatus: true,
  columns: [
    NAME_COLUMN,
    column('Type', typeOf),
    column('Cluster-IP', (service) => textAt(service, 'spec', 'clusterIP') || '<none>'),
    column('External-IP', externalText),
    column('Port(s)', portsText),
    AGE_COLUMN,
    column('Selector', selectorText, 1),
  ],
  selectableFields: {
    'spec.clusterIP': (service) => textAt(service, 'spec', 'clusterIP'),
    'spec.type': (service) => textAt(service, 'spec', 'type'),
  },
  strategy: {
    nameProblems: label1035Problems,
    returnsDeleted: true,
    prepareCreate(service, registry) {
      service.status = { loadBalancer: {} };
      applyServiceDefaults(service);
      allocateForService(service, undefined, registry);
    },
    prepareUpdate(service, old, registry) {
      keepAllocations(service, old);
      dropFieldsOfOldType(service, old);
      applyServiceDefaults(service);
      allocateForService(service, old, registry);
    },
    validate: serviceProblems,
  },
});
