import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const PLUGIN = fileURLToPath(new URL('../../bin/kubectl-switchyard', import.meta.url));

export interface Answer {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the plugin as a person's shell would, without a terminal. */
export function switchyard(kubeconfig: string, ...argv: readonly string[]): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const { FORCE_COLOR: _, ...environment } = process.env;
    const child = spawn(PLUGIN, argv, {
      env: { ...environment, KUBECONFIG: kubeconfig },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let [stdout, stderr] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, stdout, stderr }));
  });
}
