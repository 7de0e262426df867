import { readFileSync } from 'node:fs';

const NAMESPACE_FILE = '/var/run/secrets/kubernetes.io/serviceaccount/namespace';
const DEFAULT_NAMESPACE = 'kube-system';

/** The namespace given, else that of the pod that this process runs in, else kube-system. */
export function findNamespace(given: string | undefined): string {
  if (given !== undefined && given !== '') return given;
  try {
    return readFileSync(NAMESPACE_FILE, 'utf8').trim();
  } catch {
    return DEFAULT_NAMESPACE;
  }
}
