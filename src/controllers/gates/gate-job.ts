import { createHash } from 'node:crypto';
import { BatchV1Api, Watch, type KubeConfig, type V1Job } from '@kubernetes/client-node';
import type { CustomGate } from '../../core/api/rollout-spec.ts';
import { toApiError } from '../api-failure.ts';
import type { GateProbe, GateTry, Measurement } from './gate-runner.ts';
import { readCredentials, type SecretReader } from './gate-credentials.ts';
import { probeHttp, probePrometheus, type Asking } from './gate-http.ts';

/** Jobs that ended are of use to people for a while. */
const KEPT_SECONDS = 3_600;
const WATCH_SECONDS = 240;

type JobGate = NonNullable<CustomGate['job']>;

/** The same measurement has the same name, so a controller that starts anew waits for the Job that is there. */
export function jobName({ gate, key, turn }: GateTry): string {
  const digest = createHash('sha256').update(`${key} ${turn}`).digest('hex').slice(0, 12);
  return `switchyard-${gate.name.slice(0, 40)}-${digest}`;
}

function newJob(one: GateTry, { namespace, template }: JobGate): V1Job {
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: {
      name: jobName(one),
      namespace,
      labels: { 'app.kubernetes.io/managed-by': 'switchyard' },
      annotations: { 'switchyard.dev/profile': one.profile, 'switchyard.dev/gate': one.gate.name },
    },
    spec: { ttlSecondsAfterFinished: KEPT_SECONDS, ...template } as unknown as NonNullable<V1Job['spec']>,
  };
}

/** What a Job says; undefined while it runs. */
export function readJob({ status, metadata }: V1Job): Measurement | undefined {
  const found = status?.conditions?.find(
    (each) => each.status === 'True' && ['Complete', 'Failed'].includes(each.type),
  );
  if (found === undefined) return undefined;
  const said = [found.reason, found.message].filter((part) => part !== undefined && part !== '').join(': ');
  const message = `Job ${metadata?.namespace}/${metadata?.name}: ${found.type}${said === '' ? '' : ` (${said})`}`;
  return { kind: found.type === 'Complete' ? 'Pass' : 'Fail', message };
}

/** Resolves with what the Job says, or with undefined when the watch ends before. */
async function watchJob(kubeConfig: KubeConfig, job: V1Job, signal: AbortSignal): Promise<Measurement | undefined> {
  const { name = '', namespace = '', resourceVersion = '' } = job.metadata ?? {};
  const ended = Promise.withResolvers<Measurement | undefined>();
  const query = { fieldSelector: `metadata.name=${name}`, resourceVersion, timeoutSeconds: WATCH_SECONDS };
  const onObject = (phase: string, object: unknown) => {
    const said =
      phase === 'DELETED'
        ? ({ kind: 'NoData', message: `Job ${name} was deleted` } as const)
        : readJob(object as V1Job);
    if (said !== undefined) ended.resolve(said);
  };
  const request = await new Watch(kubeConfig).watch(
    `/apis/batch/v1/namespaces/${namespace}/jobs`,
    query,
    onObject,
    () => ended.resolve(undefined),
  );
  const abort = () => request.abort();
  signal.addEventListener('abort', abort);
  if (signal.aborted) abort();
  try {
    return await ended.promise;
  } finally {
    signal.removeEventListener('abort', abort);
    abort();
  }
}

/** Makes the Job, or finds it, and waits for its end. Throws ApiError. */
async function probeJob(
  kubeConfig: KubeConfig,
  one: GateTry,
  gate: JobGate,
  signal: AbortSignal,
): Promise<Measurement> {
  const api = kubeConfig.makeApiClient(BatchV1Api);
  const body = newJob(one, gate);
  const [name, namespace] = [jobName(one), gate.namespace];
  try {
    await api.createNamespacedJob({ namespace, body });
  } catch (caught) {
    const error = toApiError('create', `Job ${namespace}/${name}`, caught);
    if (error.status !== 409) throw error;
  }
  while (!signal.aborted) {
    const job = await api.readNamespacedJob({ namespace, name }).catch((caught: unknown) => {
      throw toApiError('read', `Job ${namespace}/${name}`, caught);
    });
    const said = readJob(job) ?? (await watchJob(kubeConfig, job, signal));
    if (said !== undefined) return said;
  }
  return { kind: 'NoData', message: 'not waited for any more' };
}

/** Asks whatever a gate names; what it needs for that, and may not read or show, is no data. */
export function createGateProbe(reader: SecretReader): GateProbe {
  return async (one, signal) => {
    const { prometheus, http, job } = one.gate;
    const asking = async (url: string, secret: { readonly name: string } | undefined): Promise<Asking> =>
      secret === undefined ? { signal } : { signal, credentials: await readCredentials(reader, secret.name, url) };
    if (prometheus !== undefined) {
      return probePrometheus(one.gate, prometheus, await asking(prometheus.address, prometheus.secretRef));
    }
    if (http !== undefined) return probeHttp(one.gate, http, await asking(http.url, http.secretRef));
    if (job !== undefined) return probeJob(reader.kubeConfig, one, job, signal);
    return { kind: 'NoData', message: 'the gate names nothing to ask' };
  };
}
