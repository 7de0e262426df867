import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { parse, stringify } from 'yaml';
import { AGENT_PRIVILEGES } from '../e2e/agent-privileges.ts';
import { CHART, type Manifest, type Rendered, type Values } from './chart-renderer.ts';
import { SKIP_WITHOUT_RENDERER, useRenderer } from './use-renderer.ts';

const { always, modules, legacy } = AGENT_PRIVILEGES.capabilities;
const DIRECT = { apiServer: { host: '192.0.2.1' } };

interface Container {
  readonly image: string;
  readonly args: readonly string[];
  readonly env: readonly { readonly name: string; readonly value?: string; readonly valueFrom?: unknown }[];
  readonly securityContext: {
    readonly capabilities: { readonly add?: readonly string[]; readonly drop: readonly string[] };
    readonly readOnlyRootFilesystem: boolean;
    readonly allowPrivilegeEscalation: boolean;
    readonly privileged?: boolean;
    readonly runAsNonRoot?: boolean;
    readonly seccompProfile: { readonly type: string };
  };
  readonly volumeMounts?: readonly {
    readonly name: string;
    readonly mountPath: string;
    readonly readOnly?: boolean;
  }[];
  readonly livenessProbe?: { readonly httpGet: { readonly host?: string; readonly port: number } };
}

interface PodSpec {
  readonly containers: readonly [Container];
  readonly initContainers?: readonly [Container];
  readonly hostNetwork?: boolean;
  readonly dnsPolicy?: string;
  readonly priorityClassName?: string;
  readonly tolerations?: readonly unknown[];
  readonly volumes?: readonly { readonly name: string; readonly hostPath: { readonly path: string } }[];
}

function find({ manifests }: Rendered, kind: string, name: string): Manifest {
  const found = manifests.filter((each) => each.kind === kind && each.metadata.name === name);
  assert.equal(found.length, 1, `${kind} ${name}`);
  return found[0] as Manifest;
}

function podOf(rendered: Rendered, kind: string, name: string): PodSpec {
  const { spec } = find(rendered, kind, name) as unknown as { spec: { template: { spec: PodSpec } } };
  return spec.template.spec;
}

const agentOf = (rendered: Rendered): PodSpec => podOf(rendered, 'DaemonSet', 'switchyard-agent');
const controllerOf = (rendered: Rendered): PodSpec => podOf(rendered, 'Deployment', 'switchyard-controller');
const envOf = (container: Container): Record<string, unknown> =>
  Object.fromEntries(container.env.map(({ name, value, valueFrom }) => [name, value ?? valueFrom]));
const presetOf = (name: string): Values =>
  parse(readFileSync(join(CHART, 'presets', `${name}.yaml`), 'utf8')) as Values;

function kubeconfigMap(key: string, server: string): unknown {
  const kubeconfig = stringify({ clusters: [{ name: 'default', cluster: { server } }] });
  return { data: { [key]: kubeconfig } };
}

const PROXY_MAP = 'v1/ConfigMap/kube-system/kube-proxy';
const INFO_MAP = 'v1/ConfigMap/kube-public/cluster-info';

describe('The chart', { skip: SKIP_WITHOUT_RENDERER }, () => {
  const renderer = useRenderer();
  const render = (values: Values = {}, more: object = {}): Promise<Rendered> =>
    renderer().render({ values: { ...DIRECT, ...values }, ...more });

  it('names every object once, with labels that tell whose it is', async () => {
    const monitoring = Object.fromEntries(
      ['podMonitor', 'serviceMonitor', 'prometheusRule', 'dashboard'].map((name) => [name, { enabled: true }]),
    );
    const { manifests } = await render({ monitoring, controller: { jobNamespaces: ['gates'] } });
    const ids = manifests.map(({ kind, metadata }) => `${kind} ${metadata.namespace ?? ''}/${metadata.name}`);
    assert.equal(new Set(ids).size, ids.length, ids.join('\n'));
    assert.ok(ids.length >= 35, ids.join('\n'));
    for (const { kind, metadata } of manifests) {
      assert.equal(metadata.labels?.['app.kubernetes.io/instance'], 'switchyard', `${kind} ${metadata.name}`);
      assert.equal(metadata.labels?.['app.kubernetes.io/name'], 'switchyard', `${kind} ${metadata.name}`);
    }
  });

  it('gives the agent the capabilities it needs and nothing else', async () => {
    const { hostNetwork, dnsPolicy, containers, tolerations, priorityClassName } = agentOf(await render());
    const [{ securityContext, ...agent }] = containers;
    assert.deepEqual(securityContext.capabilities, { drop: ['ALL'], add: [...always, ...modules] });
    assert.equal(securityContext.privileged, false);
    assert.equal(securityContext.allowPrivilegeEscalation, AGENT_PRIVILEGES.allowPrivilegeEscalation);
    assert.equal(securityContext.readOnlyRootFilesystem, AGENT_PRIVILEGES.readOnlyRootFilesystem);
    assert.equal(securityContext.seccompProfile.type, AGENT_PRIVILEGES.seccompProfile);
    const mounts = (agent.volumeMounts ?? []).map(({ mountPath, readOnly = false }) => ({ path: mountPath, readOnly }));
    assert.deepEqual(mounts, AGENT_PRIVILEGES.mounts);
    assert.deepEqual([hostNetwork, dnsPolicy, priorityClassName], [true, 'Default', 'system-node-critical']);
    assert.deepEqual(tolerations, [{ operator: 'Exists' }]);
    assert.ok(agent.args.includes('--proc-sys-dir=/host/proc/sys'));
  });

  it('gives iptables-legacy its capability and its programs', async () => {
    const [{ securityContext, ...agent }] = agentOf(await render({ agent: { iptables: 'legacy' } })).containers;
    assert.deepEqual(securityContext.capabilities.add, [...always, ...modules, ...legacy]);
    assert.match(String(envOf(agent as Container)['PATH']), /^\/opt\/iptables-legacy:/);
  });

  it('loads modules in an init container where it is asked to, and the agent then cannot', async () => {
    const { containers, initContainers } = agentOf(await render({ agent: { initContainer: true } }));
    assert.deepEqual(containers[0].securityContext.capabilities.add, always);
    assert.deepEqual(initContainers?.[0].securityContext.capabilities.add, [...always, ...modules]);
    assert.deepEqual(initContainers?.[0].args.slice(0, 2), ['agent', '--init-only']);
  });

  it('mounts what the flags name, each volume once', async () => {
    for (const bootFiles of [true, false]) {
      const { containers, volumes = [] } = agentOf(await render({ agent: { bootFiles } }));
      const [{ volumeMounts = [], args }] = containers;
      assert.deepEqual(volumeMounts.map(({ name }) => name).sort(), volumes.map(({ name }) => name).sort());
      const places = volumeMounts.map(({ mountPath }) => mountPath);
      const folders = args.flatMap((flag) => /^--[a-z-]+-dir=(.+)$/.exec(flag)?.[1] ?? []);
      for (const folder of folders) assert.ok(places.includes(folder), folder);
      assert.equal(args.includes('--sysctl-dir='), !bootFiles);
    }
  });

  it('runs the controller without any right on its node, twice, protected from eviction', async () => {
    const rendered = await render();
    const { containers, hostNetwork } = controllerOf(rendered);
    const { capabilities, runAsNonRoot, readOnlyRootFilesystem } = containers[0].securityContext;
    assert.deepEqual(capabilities, { drop: ['ALL'] });
    assert.deepEqual([runAsNonRoot, readOnlyRootFilesystem, hostNetwork], [true, true, undefined]);
    assert.equal(
      (find(rendered, 'Deployment', 'switchyard-controller') as { spec?: { replicas?: number } }).spec?.replicas,
      2,
    );
    find(rendered, 'PodDisruptionBudget', 'switchyard-controller');
    const single = await render({ controller: { replicas: 1 } });
    assert.ok(single.manifests.every(({ kind }) => kind !== 'PodDisruptionBudget'));
  });

  const servers: readonly (readonly [string, Values, Record<string, unknown>, string, string])[] = [
    ['as it is told', DIRECT, {}, '192.0.2.1', '6443'],
    ['an IPv6 address', { apiServer: { host: 'fd00::1', port: 443 } }, {}, 'fd00::1', '443'],
    [
      "from kubeadm's kube-proxy",
      {},
      { [PROXY_MAP]: kubeconfigMap('kubeconfig.conf', 'https://k8s.example:6443') },
      'k8s.example',
      '6443',
    ],
    [
      "from EKS's kube-proxy",
      {},
      { [PROXY_MAP]: kubeconfigMap('kubeconfig', 'https://a.eks.example') },
      'a.eks.example',
      '443',
    ],
    [
      'from cluster-info, where kube-proxy is not known',
      {},
      { [INFO_MAP]: kubeconfigMap('kubeconfig', 'https://[fd00::2]:6443') },
      'fd00::2',
      '6443',
    ],
    ['from RKE2', presetOf('rke2'), {}, '127.0.0.1', '6443'],
    ['from k3s', presetOf('k3s'), {}, '127.0.0.1', '6444'],
  ];
  for (const [title, values, objects, host, port] of servers) {
    it(`finds the address of the API server ${title}`, async () => {
      const rendered = await renderer().render({ values, objects });
      for (const { containers } of [agentOf(rendered), controllerOf(rendered)]) {
        const { KUBERNETES_SERVICE_HOST, KUBERNETES_SERVICE_PORT } = envOf(containers[0]);
        assert.deepEqual([KUBERNETES_SERVICE_HOST, KUBERNETES_SERVICE_PORT], [host, port]);
      }
    });
  }

  it('says what to do where nobody knows the address of the API server', async () => {
    await assert.rejects(renderer().render({}), /apiServer\.host is needed: .*kubectl cluster-info/);
    await assert.rejects(renderer().render({ values: presetOf('cloud') }), /apiServer\.host is needed/);
  });

  it('takes the address from a ConfigMap where it is asked to', async () => {
    const rendered = await renderer().render({ values: { apiServer: { configMap: 'api' } } });
    const reference = (key: string): unknown => ({ configMapKeyRef: { name: 'api', key } });
    const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port } = envOf(agentOf(rendered).containers[0]);
    assert.deepEqual([host, port], [reference('host'), reference('port')]);
  });

  for (const preset of ['rke2', 'k3s']) {
    it(`runs what asks the node's own address on the node's network: ${preset}`, async () => {
      const rendered = await renderer().render({ values: presetOf(preset) });
      assert.equal(controllerOf(rendered).hostNetwork, true);
      assert.equal(podOf(rendered, 'Job', 'switchyard-release').hostNetwork, true);
      const { strategy } = find(rendered, 'Deployment', 'switchyard-controller').spec as { strategy: unknown };
      assert.deepEqual(strategy, { type: 'RollingUpdate', rollingUpdate: { maxSurge: 0, maxUnavailable: 1 } });
    });
  }

  const probes: readonly (readonly [Values, string, string])[] = [
    [{}, '127.0.0.1:10246', '127.0.0.1'],
    [{ monitoring: { podMonitor: { enabled: true } } }, '0.0.0.0:10246', '127.0.0.1'],
    [{ agent: { metrics: { address: '[::]', port: 9000 } } }, '[::]:9000', '::1'],
    [{ agent: { metrics: { address: '192.0.2.7' } } }, '192.0.2.7:10246', '192.0.2.7'],
  ];
  for (const [values, address, host] of probes) {
    it(`asks an agent that listens on ${address} at ${host}`, async () => {
      const [{ args, livenessProbe }] = agentOf(await render(values)).containers;
      assert.ok(args.includes(`--metrics-bind-address=${address}`), args.join(' '));
      assert.equal(livenessProbe?.httpGet.host, host);
      assert.equal(livenessProbe?.httpGet.port, Number(/[0-9]+$/.exec(address)?.[0]));
    });
  }

  it('makes the default profile once, and one that touches no node', async () => {
    const first = find(await render(), 'ProxyProfile', 'default');
    assert.equal((first.spec as { rollout: { dryRun: boolean } }).rollout.dryRun, true);
    assert.equal(first.metadata.annotations?.['helm.sh/resource-policy'], 'keep');
    const objects = { 'switchyard.dev/v1alpha1/ProxyProfile//default': { metadata: { name: 'default' } } };
    const again = await render({}, { objects, isUpgrade: true });
    assert.ok(again.manifests.every(({ kind }) => kind !== 'ProxyProfile'));
    const none = await render({ defaultProfile: { create: false } });
    assert.ok(none.manifests.every(({ kind }) => kind !== 'ProxyProfile'));
  });

  it('leaves the admission policies out, and says so, where there are none', async () => {
    const isPolicy = ({ kind }: Manifest): boolean => kind.startsWith('ValidatingAdmissionPolicy');
    const now = await render();
    assert.equal(now.manifests.filter(isPolicy).length, 8);
    assert.doesNotMatch(now.notes, /WARNING/);
    for (const kubeVersion of ['v1.29.9', '1.29.4+k3s1', 'v1.29.1-gke.100']) {
      const old = await render({}, { kubeVersion });
      assert.equal(old.manifests.filter(isPolicy).length, 0);
      assert.match(old.notes, /WARNING: .*may write the status of any node/);
    }
    for (const kubeVersion of ['v1.30.2+rke2r1', '1.34.1-eks-abc']) {
      assert.equal((await render({}, { kubeVersion })).manifests.filter(isPolicy).length, 8);
    }
  });

  it('releases every node before it is uninstalled, and only then', async () => {
    const job = find(await render(), 'Job', 'switchyard-release');
    assert.equal(job.metadata.annotations?.['helm.sh/hook'], 'pre-delete');
    // What is only rendered, to be applied by something that knows no hooks, must not hold a Job that takes all nodes back.
    const rendered = await render({}, { hasCluster: false });
    assert.ok(!rendered.manifests.some(({ kind }) => kind === 'Job'));
    const without = await render({ uninstall: { release: false } });
    assert.ok(without.manifests.every(({ metadata }) => metadata.annotations?.['helm.sh/hook'] !== 'pre-delete'));
  });

  it('gives nobody the rights of another, and nobody secrets, or writes of nodes or pods', async () => {
    const { manifests } = await render({ controller: { jobNamespaces: ['gates'] } });
    for (const { kind, metadata, rules } of manifests) {
      if (kind !== 'ClusterRole' && kind !== 'Role') continue;
      for (const { resources, verbs, apiGroups } of rules as Record<'resources' | 'verbs' | 'apiGroups', string[]>[]) {
        assert.ok(![...resources, ...verbs, ...apiGroups].includes('*'), metadata.name);
        assert.ok(!resources.includes('secrets'), metadata.name);
        // People may look at pods; no process does.
        assert.ok(!resources.includes('pods') || /-(view|operate)$/.test(metadata.name), metadata.name);
        const isWrite = verbs.some((verb) => !['get', 'list', 'watch'].includes(verb));
        const readOnly = ['services', 'endpointslices', 'pods', 'configmaps'];
        if (isWrite) assert.ok(!resources.some((each) => readOnly.includes(each)), metadata.name);
      }
    }
  });

  it('calls everything by the names of the release', async () => {
    const { manifests } = await render({}, { name: 'blue', namespace: 'proxy' });
    for (const { kind, metadata } of manifests) {
      if (kind !== 'ProxyProfile') assert.match(metadata.name, /^blue-switchyard/, kind);
      const isOfKubeProxy = metadata.namespace === 'kube-system' && metadata.name.endsWith('-kube-proxy');
      const isUsual = ['proxy', 'default', undefined].includes(metadata.namespace);
      assert.ok(isUsual || isOfKubeProxy, `${kind} ${metadata.namespace}`);
    }
    const policy = stringify(manifests.find(({ kind }) => kind === 'ValidatingAdmissionPolicy'));
    assert.match(policy, /system:serviceaccount:proxy:blue-switchyard-agent'/);
  });

  it('lets the controller touch the DaemonSets of kube-proxy that are named, and no other', async () => {
    const named = await render({ controller: { kubeProxy: { namespace: 'nodes', daemonSets: ['kube-proxy-a'] } } });
    const { metadata, rules } = find(named, 'Role', 'switchyard-controller-kube-proxy') as unknown as {
      metadata: object;
      rules: object[];
    };
    assert.equal((metadata as { namespace: string }).namespace, 'nodes');
    const may = { apiGroups: ['apps'], resources: ['daemonsets'], resourceNames: ['kube-proxy-a'] };
    assert.deepEqual(rules, [{ ...may, verbs: ['get', 'patch'] }]);
    const { manifests } = await render({ controller: { kubeProxy: { daemonSets: [] } } });
    assert.ok(!manifests.some(({ metadata: { name } }) => name.endsWith('-kube-proxy')));
    const role = manifests.find(
      ({ kind, metadata: { name } }) => kind === 'ClusterRole' && name.endsWith('-controller'),
    );
    assert.ok(role);
    const ofNodes = (role.rules as { resources: string[]; verbs: string[] }[]).filter(({ resources }) =>
      resources.includes('nodes'),
    );
    assert.deepEqual(
      ofNodes.map(({ verbs }) => verbs),
      [['get', 'list', 'watch']],
    );
  });

  it('says after an upgrade what an upgrade asks for, and not that nothing runs yet', async () => {
    const { notes: first } = await render();
    assert.match(
      first,
      /^Switchyard [0-9.]+ is installed .* No node is changed yet\.\n\nSee that it works:\n {2}helm test/,
    );
    assert.match(first, /kubectl patch proxyprofile default --type merge/);
    const { notes: next } = await render({}, { isUpgrade: true });
    assert.match(next, /^Switchyard [0-9.]+ is in the namespace kube-system now\./);
    assert.match(next, /kubectl apply --server-side .*crds\/\n[^]*rollout status daemonset\/switchyard-agent/);
    assert.doesNotMatch(next, /No node is changed|kubectl patch/);
  });

  it('passes helm lint as it comes, and with each preset', async () => {
    for (const values of [{}, ...['cloud', 'k3s', 'kubeadm', 'rke2'].map(presetOf)]) {
      const { manifests } = await renderer().render({ values, isLint: true });
      for (const { kind, metadata, apiVersion, spec } of manifests) {
        assert.ok(apiVersion && kind && metadata.name, JSON.stringify(metadata));
        const { selector, template } = (spec ?? {}) as Record<string, { matchLabels?: unknown }>;
        if (template !== undefined && kind !== 'Job') assert.ok(selector?.matchLabels, metadata.name);
      }
    }
  });

  it('lets people look and operate, by roles that Kubernetes can put into its own', async () => {
    const rendered = await render();
    const labelsOf = (name: string, of = rendered): string[] =>
      Object.keys(find(of, 'ClusterRole', name).metadata.labels ?? {}).filter((key) => key.includes('aggregate'));
    const into = (role: string): string => `rbac.authorization.k8s.io/aggregate-to-${role}`;
    assert.deepEqual(labelsOf('switchyard-view'), [into('view')]);
    assert.deepEqual(labelsOf('switchyard-operate'), [into('admin')]);
    const other = await render({ userRoles: { viewFor: [], operateFor: ['edit', 'admin'] } });
    assert.deepEqual(labelsOf('switchyard-view', other), []);
    assert.deepEqual(labelsOf('switchyard-operate', other), [into('edit'), into('admin')]);
    const none = await render({ userRoles: { create: false } });
    assert.ok(!none.manifests.some(({ metadata: { name } }) => /-(view|operate)$/.test(name)));
  });

  it('refuses values that the schema does not know', async () => {
    await assert.rejects(render({ agent: { privileged: true } }), /must NOT have additional properties/);
  });
});
