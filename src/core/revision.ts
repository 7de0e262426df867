import { createHash } from 'node:crypto';
import { renderedConfig, type RenderedConfig } from './api/node-proxy-state.ts';
import type { ProxyProfileSpec } from './api/proxy-profile.ts';

/** JSON with the keys of every object in order, so that equal values give equal text. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) =>
    part !== null && typeof part === 'object' && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );
}

/** The revision of what a node acts on: ten hexadecimal digits of its SHA-256. Rollout knobs are no part of it. */
export function revisionOf(rendered: RenderedConfig): string {
  return createHash('sha256').update(canonicalJson(rendered)).digest('hex').slice(0, 10);
}

/** Everything that a node acts on, from the spec of its profile; what concerns the rollout and kube-proxy is left out. */
export function renderProfile(spec: ProxyProfileSpec): RenderedConfig {
  const { nodeSelector: _nodes, priority: _priority, rollout: _rollout, ...others } = spec;
  const { onDelete: _onDelete, kubeProxy: _kubeProxy, ...acted } = others;
  return renderedConfig.parse(acted);
}
