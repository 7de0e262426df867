import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { parse, stringify } from 'yaml';
import { CHART, type Manifest, type Rendered, type RenderOptions, type Values } from './chart-renderer.ts';
import { SKIP_WITHOUT_RENDERER, useRenderer } from './use-renderer.ts';
import { isMap, laidOver } from './values-overlay.ts';

const preset = parse(readFileSync(join(CHART, 'values.yaml'), 'utf8')) as Values;
const HOST = { apiServer: { host: '192.0.2.1' } };
const ON = { enabled: true };
const EVERYTHING: Values = {
  ...HOST,
  controller: { jobNamespaces: ['gates'], gateSecrets: ['prometheus'] },
  monitoring: { podMonitor: ON, serviceMonitor: ON, prometheusRule: ON, dashboard: ON },
};

type Path = readonly string[];

/** Every value and every map of values. */
function pathsOf(values: Values, above: Path = []): Path[] {
  return Object.entries(values).flatMap(([name, value]) => {
    const path = [...above, name];
    return isMap(value) ? [path, ...pathsOf(value, path)] : [path];
  });
}

const valueAt = (path: Path, value: unknown): unknown => path.reduceRight((inner, name) => ({ [name]: inner }), value);

function nullsIn(value: unknown, at: string): string[] {
  if (value === null) return [at];
  if (typeof value !== 'object') return [];
  return Object.entries(value).flatMap(([name, inner]) => nullsIn(inner, `${at}.${name}`));
}

/** What an API server would refuse: names and labels that are none, and fields without a value. */
function problemsOf({ kind, metadata, ...rest }: Manifest): string[] {
  const problems = nullsIn({ metadata, ...rest }, `${kind} ${metadata.name}`);
  const isLabel = (text: unknown, most: number): boolean =>
    typeof text === 'string' && text.length <= most && /^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$/.test(text);
  const must = (isWell: boolean, what: string): void => {
    if (!isWell) problems.push(`${kind} ${metadata.name}: ${what}`);
  };
  must(isLabel(metadata.name, 253) && /^[a-z0-9.-]+$/.test(metadata.name), 'its name');
  if (kind === 'Service') must(/^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$/.test(metadata.name), 'its name, for a Service');
  // Their pods are called after them, and carry the name as a label.
  if (['DaemonSet', 'Job', 'Pod'].includes(kind)) must(metadata.name.length <= 57, 'its name, for pods');
  must(metadata.namespace === undefined || typeof metadata.namespace === 'string', 'its namespace');
  for (const [key, value] of Object.entries(metadata.labels ?? {})) must(isLabel(value, 63), `its label ${key}`);
  for (const [key, value] of Object.entries(metadata.annotations ?? {})) {
    must(typeof value === 'string', `its annotation ${key}`);
  }
  return problems;
}

describe('The values of the chart', { skip: SKIP_WITHOUT_RENDERER }, () => {
  const renderer = useRenderer();
  const render = (values: Values, more: RenderOptions = {}): Promise<Rendered> =>
    renderer().render({ values: laidOver(EVERYTHING, values) as Values, ...more });
  const assertWell = ({ manifests }: Rendered): void => assert.deepEqual(manifests.flatMap(problemsOf), []);

  it('may each be null, which takes the default away, or the schema says that they may not', async () => {
    const refused: string[] = [];
    for (const path of pathsOf(preset)) {
      // What is laid over it would come before the null.
      const values = laidOver(HOST, valueAt(path, null)) as Values;
      const found = await renderer()
        .render({ values })
        .catch((error: unknown) => (error as Error).message);
      if (typeof found !== 'string') assert.deepEqual(found.manifests.flatMap(problemsOf), [], path.join('.'));
      else {
        refused.push(path.join('.'));
        const expected = path[0] === 'apiServer' ? /schema|apiServer\.host is needed/ : /^values don't meet the schema/;
        assert.match(found, expected, path.join('.'));
      }
    }
    // What turns something off, or has a meaning when it is empty, must be free to go.
    for (const free of [
      'agent.resources',
      'agent.tolerations',
      'controller.affinity',
      'image.tag',
      'agent.extraArgs',
    ]) {
      assert.ok(!refused.includes(free), `${free} cannot be null`);
    }
  });

  const calls: readonly (readonly [string, RenderOptions, Values])[] = [
    ['of digits alone', { name: '123', namespace: '42' }, { fullnameOverride: '' }],
    [
      'that YAML would take for something else',
      { name: 'switchyard', namespace: 'null' },
      { fullnameOverride: 'true' },
    ],
    ['with dots', { name: 'edge.switchyard.v1' }, {}],
    ['as long as helm allows', { name: `a${'b'.repeat(52)}`, namespace: `n${'s'.repeat(62)}` }, {}],
    ['as long as the schema allows', {}, { fullnameOverride: 'n'.repeat(44), nameOverride: 'm'.repeat(44) }],
  ];
  for (const [title, more, values] of calls) {
    it(`take names ${title}`, async () => {
      const rendered = await render(values, more);
      // Only a Service may not begin with a digit; helm's own charts have that limit too.
      const isDigits = more.name === '123';
      const problems = rendered.manifests.flatMap(problemsOf).filter((each) => !isDigits || !each.includes('Service'));
      assert.deepEqual(problems, []);
      assert.ok(!rendered.manifests.some(({ metadata }) => metadata.namespace === null));
    });
  }

  it('keep numbers whole and texts texts', async () => {
    const { manifests } = await render({
      apiServer: { port: 16_443 },
      uninstall: { timeoutSeconds: 86_400 },
      agent: {
        podAnnotations: { 'example.com/number': '1234567' },
        podLabels: { number: '007', truth: 'true' },
        nodeSelector: { 'example.com/pool': 'on' },
        extraEnv: [{ name: 'LIMIT', value: '1e6' }],
        extraArgs: ['--log-level=info'],
        resources: { limits: { memory: 1_073_741_824 } },
      },
      defaultProfile: { spec: { conntrack: { min: 12_345_678 } } },
    });
    const text = stringify(manifests);
    assert.doesNotMatch(text, /[0-9]e\+[0-9]/);
    assert.match(text, /--timeout=86400\n/);
    const agent = manifests.find(({ kind }) => kind === 'DaemonSet') as unknown as {
      spec: { template: { metadata: Manifest['metadata']; spec: Record<string, never> } };
    };
    const { metadata, spec } = agent.spec.template;
    assert.equal(metadata.annotations?.['example.com/number'], '1234567');
    assert.deepEqual([metadata.labels?.['number'], metadata.labels?.['truth']], ['007', 'true']);
    assert.deepEqual(spec['nodeSelector'], { 'kubernetes.io/os': 'linux', 'example.com/pool': 'on' });
    const profile = manifests.find(({ kind }) => kind === 'ProxyProfile');
    assert.ok(profile);
    assert.equal((profile.spec as { conntrack: { min: number } }).conntrack.min, 12_345_678);
  });

  it('reach the pods: class, secrets, places, resources', async () => {
    const term = { matchExpressions: [{ key: 'a', operator: 'Exists' }] };
    const affinity = {
      nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [term] } },
    };
    const one = {
      priorityClassName: 'mine',
      tolerations: [{ key: 't', operator: 'Exists' }],
      nodeSelector: { pool: 'p' },
      affinity,
      resources: { limits: { cpu: '2' } },
    };
    const rendered = await render({ image: { pullSecrets: [{ name: 's' }] }, agent: one, controller: one });
    const pods = rendered.manifests.flatMap(({ kind, metadata, spec }) => {
      const own = spec as Record<string, unknown> & { template?: { spec: Record<string, unknown> } };
      const pod = kind === 'Pod' ? own : own?.template?.spec;
      return pod === undefined ? [] : [{ name: metadata.name, pod }];
    });
    assert.equal(pods.length, 4);
    for (const { name, pod } of pods) {
      assert.equal(pod['priorityClassName'], 'mine', name);
      assert.deepEqual(pod['imagePullSecrets'], [{ name: 's' }], name);
      assert.deepEqual(pod['tolerations'], one.tolerations, name);
      assert.deepEqual(pod['nodeSelector'], { 'kubernetes.io/os': 'linux', pool: 'p' }, name);
      const [container] = pod['containers'] as [{ resources: { limits: object } }];
      assert.deepEqual(container.resources.limits, { cpu: '2' }, name);
      if (!/check|release/.test(name)) assert.deepEqual(pod['affinity'], affinity, name);
    }
  });

  it('label everything alike', async () => {
    const { manifests } = await render({ commonLabels: { team: 'network', number: '7' } });
    for (const { kind, metadata, spec } of manifests) {
      assert.deepEqual([metadata.labels?.['team'], metadata.labels?.['number']], ['network', '7'], kind);
      const { template, selector } = (spec ?? {}) as Record<string, { metadata?: Manifest['metadata'] }>;
      if (template !== undefined) assert.equal(template.metadata?.labels?.['team'], 'network', kind);
      // What selects pods can never be changed afterwards.
      assert.ok(!JSON.stringify(selector ?? {}).includes('team'), kind);
    }
  });

  it('may be those of a chart that depends on this one', async () => {
    assertWell(await render({ global: { imageRegistry: 'r' }, enabled: true }));
  });
});
