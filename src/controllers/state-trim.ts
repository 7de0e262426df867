import type { NodeProxyState, RenderedConfig } from '../core/api/node-proxy-state.ts';

/** Of a state, what planning needs: thousands of them are held. A write of the spec leaves the status as it is. */
export class StateTrim {
  /** By revision. Nodes that are to run the same share one object; there are few revisions at any time. */
  readonly #rendered = new Map<string, { readonly text: string; readonly value: RenderedConfig }>();

  trim(state: NodeProxyState): NodeProxyState {
    const { spec, status } = state;
    // What cannot be read is the planner's to complain of.
    const shared = spec?.rendered === undefined ? state : { ...state, spec: { ...spec, rendered: this.#share(spec) } };
    if (status === undefined) return shared;
    const { sysctls: _sysctls, conntrack: _conntrack, dataplane: _dataplane, ...kept } = status;
    return { ...shared, status: kept };
  }

  #share({ revision, rendered }: NodeProxyState['spec']): RenderedConfig {
    const text = JSON.stringify(rendered);
    const known = this.#rendered.get(revision);
    if (known?.text === text) return known.value;
    if (known === undefined) this.#rendered.set(revision, { text, value: rendered });
    return rendered;
  }
}
