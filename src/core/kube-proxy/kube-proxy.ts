import type { OtherProxy } from '../node/preflight.ts';

/** What kube-proxy is doing on a node, in the words of a look that is cheap. */
export interface KubeProxySighting {
  readonly hasProcess: boolean;
  /** Somebody who is not us listens on a port of kube-proxy. */
  readonly listens: boolean;
}

/** Nothing is seen of it. */
export function isGone({ hasProcess, listens }: KubeProxySighting): boolean {
  return !hasProcess && !listens;
}

/** Runs and has rules, so that there is something to take over. One that has just been started serves nothing yet. */
export function isServingKubeProxy(found: OtherProxy | undefined): boolean {
  return found?.kind === 'kube-proxy' && found.isRunning && found.mode !== undefined;
}
