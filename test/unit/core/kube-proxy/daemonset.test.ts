import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  excludeLabelled,
  includeAgain,
  type DaemonSet,
  type JsonPatchOperation,
} from '../../../../src/core/kube-proxy/daemonset.ts';

const LABEL = 'switchyard.dev/kube-proxy-replaced';
const OURS = { key: LABEL, operator: 'DoesNotExist' };
const LINUX = { key: 'kubernetes.io/os', operator: 'In', values: ['linux'] };

/** As an API server does, for the operations that we use. */
function apply(set: DaemonSet, patch: readonly JsonPatchOperation[]): DaemonSet {
  const result = structuredClone(set) as unknown as Record<string, unknown>;
  for (const { op, path, value } of patch) {
    const keys = path
      .slice(1)
      .split('/')
      .map((key) => key.replaceAll('~1', '/'));
    const last = keys.pop() ?? '';
    const parent = keys.reduce<Record<string, unknown>>((at, key) => at[key] as Record<string, unknown>, result);
    if (op === 'add') parent[last] = structuredClone(value);
    else if (op === 'remove') {
      assert.ok(last in parent, path);
      delete parent[last];
    } else assert.deepEqual(parent[last], value);
  }
  return result as unknown as DaemonSet;
}

const required = (...nodeSelectorTerms: object[]) => ({
  nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms } },
});
const set = (affinity?: unknown, annotations?: Record<string, string>): DaemonSet => ({
  metadata: { name: 'kube-proxy', resourceVersion: '7', ...(annotations === undefined ? {} : { annotations }) },
  spec: { template: { spec: { ...(affinity === undefined ? {} : { affinity }) } } },
});
const affinityOf = (each: DaemonSet) => each.spec?.template?.spec?.affinity;

const ORIGINALS: readonly { name: string; affinity?: unknown; excluded: unknown }[] = [
  { name: 'none, as kubeadm makes it', excluded: required({ matchExpressions: [OURS] }) },
  { name: 'an empty one', affinity: {}, excluded: required({ matchExpressions: [OURS] }) },
  {
    name: 'one term',
    affinity: required({ matchExpressions: [LINUX] }),
    excluded: required({ matchExpressions: [LINUX, OURS] }),
  },
  {
    name: 'two terms, which are alternatives',
    affinity: required({ matchExpressions: [LINUX] }, { matchFields: [LINUX] }),
    excluded: required({ matchExpressions: [LINUX, OURS] }, { matchFields: [LINUX], matchExpressions: [OURS] }),
  },
  {
    name: 'a term that selects nothing',
    affinity: required({ matchExpressions: [LINUX] }, {}),
    excluded: required({ matchExpressions: [LINUX, OURS] }, {}),
  },
  {
    name: 'other kinds of affinity',
    affinity: { podAffinity: { x: 1 }, nodeAffinity: { preferredDuringSchedulingIgnoredDuringExecution: [] } },
    excluded: {
      podAffinity: { x: 1 },
      nodeAffinity: {
        preferredDuringSchedulingIgnoredDuringExecution: [],
        ...required({ matchExpressions: [OURS] }).nodeAffinity,
      },
    },
  },
];

describe('keeping a DaemonSet off labelled nodes', () => {
  for (const { name, affinity, excluded } of ORIGINALS) {
    for (const annotations of [undefined, { mine: 'x' }]) {
      it(`${name}${annotations === undefined ? '' : ', with annotations'}: there and exactly back`, () => {
        const before = set(affinity, annotations);
        const during = apply(before, excludeLabelled(before, LABEL));
        assert.deepEqual(affinityOf(during), excluded);
        assert.deepEqual(excludeLabelled(during, LABEL), []);
        const after = apply(during, includeAgain(during, LABEL));
        assert.deepEqual(affinityOf(after), affinity);
        assert.deepEqual(after.metadata.annotations ?? {}, annotations ?? {});
        assert.deepEqual(includeAgain(after, LABEL), []);
      });
    }
  }

  it('keeps what others changed meanwhile', () => {
    const before = set(required({ matchExpressions: [LINUX] }));
    const during = apply(before, excludeLabelled(before, LABEL));
    const zone = { key: 'zone', operator: 'Exists' };
    const edited = set(required({ matchExpressions: [LINUX, OURS, zone] }), { ...during.metadata.annotations });
    const after = apply(edited, includeAgain(edited, LABEL));
    assert.deepEqual(affinityOf(after), required({ matchExpressions: [LINUX, zone] }));
    assert.deepEqual(after.metadata.annotations, {});
  });

  it('goes in again where somebody took it away, and remembers the first original', () => {
    const before = set(required({ matchExpressions: [LINUX] }));
    const during = apply(before, excludeLabelled(before, LABEL));
    const overwritten = set(undefined, { ...during.metadata.annotations });
    const again = apply(overwritten, excludeLabelled(overwritten, LABEL));
    assert.deepEqual(affinityOf(again), required({ matchExpressions: [OURS] }));
    const after = apply(again, includeAgain(again, LABEL));
    assert.equal(affinityOf(after), undefined);
  });

  it('takes our requirement out also without a note of the original', () => {
    const lost = set(required({ matchExpressions: [OURS] }));
    assert.equal(affinityOf(apply(lost, includeAgain(lost, LABEL))), undefined);
  });

  it('rests on the version that was read', () => {
    assert.deepEqual(excludeLabelled(set(), LABEL)[0], { op: 'test', path: '/metadata/resourceVersion', value: '7' });
  });
});
