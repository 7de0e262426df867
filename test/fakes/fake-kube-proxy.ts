import type { RenderedConfig } from '../../src/core/api/node-proxy-state.ts';
import type { KubeProxyOnNode } from '../../src/agent/switch/kube-proxy.ts';
import type { ImplementedMode, Mode } from '../../src/core/mode.ts';

/** kube-proxy of a node without a kernel: what a test says it is. */
export class FakeKubeProxy implements KubeProxyOnNode {
  isRunning = false;
  /** Undefined when it has no rules. */
  mode: Mode | undefined;
  lack: string | null = null;
  /** Every removal, with the mode that served. */
  readonly removals: ImplementedMode[] = [];

  start(mode: Mode): void {
    this.isRunning = true;
    this.mode = mode;
  }

  /** As the real one, it leaves its rules. */
  stop(): void {
    this.isRunning = false;
  }

  sight() {
    return { hasProcess: this.isRunning, listens: this.isRunning };
  }

  findServing() {
    const { isRunning, mode } = this;
    if (!isRunning || mode === undefined) return Promise.resolve(undefined);
    return Promise.resolve({ kind: 'kube-proxy', isRunning, mode, traces: [] });
  }

  lacks() {
    return Promise.resolve(this.isRunning ? this.lack : 'it does not run');
  }

  exportAffinity() {
    return Promise.resolve({ entries: [], leftOut: 0 });
  }

  importAffinity(_snapshot: unknown, entries: readonly unknown[]) {
    return Promise.resolve({ taken: entries.length, leftOut: 0 });
  }

  remove({ mode }: Pick<RenderedConfig, 'mode'>) {
    const removed = this.mode === undefined ? 0 : 1;
    if (removed > 0) this.removals.push(mode);
    this.mode = undefined;
    return Promise.resolve({ removed, kept: [], busy: 0 });
  }
}
