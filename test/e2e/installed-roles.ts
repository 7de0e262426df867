import { readFileSync } from 'node:fs';
import { parseAllDocuments } from 'yaml';
import type { Manifest } from '../chart/chart-renderer.ts';
import { manifestPath } from '../chart/manifest-path.ts';
import type { ControllerCluster } from './controller-cluster.ts';

const DEPLOY = new URL('../../deploy/switchyard.yaml', import.meta.url);
const GROUPS = ['rbac.authorization.k8s.io/', 'admissionregistration.k8s.io/'];
const BINDINGS = '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings';

/** The account that the chart's controller runs as. */
export const CONTROLLER = 'system:serviceaccount:kube-system:switchyard-controller';

/** Makes the roles, bindings and policies of the chart, as they are in deploy/. */
export async function installRoles(cluster: ControllerCluster): Promise<void> {
  for (const document of parseAllDocuments(readFileSync(DEPLOY, 'utf8'))) {
    const manifest = document.toJS() as Manifest;
    if (!GROUPS.some((group) => manifest.apiVersion.startsWith(group))) continue;
    const path = manifestPath(manifest);
    await cluster.call('POST', path.slice(0, path.lastIndexOf('/')), manifest);
  }
}

/** A kubeconfig file of a person with one of the chart's roles, and no other right. */
export async function personWith(cluster: ControllerCluster, role: 'view' | 'operate'): Promise<string> {
  await cluster.call('POST', BINDINGS, {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRoleBinding',
    metadata: { name: `person-${role}` },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: `switchyard-${role}` },
    subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: `person-${role}` }],
  });
  return cluster.kubeconfigAs(`person-${role}`);
}
