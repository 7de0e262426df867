import { CoordinationV1Api, V1MicroTime, type KubeConfig, type V1Lease } from '@kubernetes/client-node';
import { toApiError } from './api-failure.ts';
import type { LeaseRecord, LeaseStore } from './leader-election.ts';

/** The types say Date; client-node 2.0 leaves the text as it came. */
function milliseconds(time: Date | string | undefined): number {
  return time === undefined ? 0 : new Date(time).getTime() || 0;
}

function readRecord({ spec = {} }: V1Lease): LeaseRecord {
  return {
    holder: spec.holderIdentity ?? '',
    durationMs: (spec.leaseDurationSeconds ?? 0) * 1_000,
    acquireMs: milliseconds(spec.acquireTime),
    renewMs: milliseconds(spec.renewTime),
    transitions: spec.leaseTransitions ?? 0,
  };
}

function writeRecord(record: LeaseRecord): V1Lease['spec'] {
  return {
    holderIdentity: record.holder,
    leaseDurationSeconds: Math.ceil(record.durationMs / 1_000),
    acquireTime: new V1MicroTime(record.acquireMs),
    renewTime: new V1MicroTime(record.renewMs),
    leaseTransitions: record.transitions,
  };
}

/** The Lease of that name in the API server; its metadata (labels, owners) are kept as they are. */
export function leaseStore(kubeConfig: KubeConfig, namespace: string, name: string): LeaseStore<V1Lease> {
  const api = kubeConfig.makeApiClient(CoordinationV1Api);
  const object = `Lease ${namespace}/${name}`;
  return {
    async read() {
      try {
        const lease = await api.readNamespacedLease({ name, namespace });
        return { record: readRecord(lease), version: lease };
      } catch (caught) {
        const error = toApiError('read', object, caught);
        if (error.status === 404) return undefined;
        throw error;
      }
    },
    async write(record, version) {
      const spec = writeRecord(record);
      const metadata = version?.metadata ?? { name, namespace };
      const body: V1Lease = {
        apiVersion: 'coordination.k8s.io/v1',
        kind: 'Lease',
        metadata,
        ...(spec ? { spec } : {}),
      };
      try {
        if (version === undefined) await api.createNamespacedLease({ namespace, body });
        else await api.replaceNamespacedLease({ name, namespace, body });
      } catch (caught) {
        throw toApiError('write', object, caught);
      }
    },
  };
}
