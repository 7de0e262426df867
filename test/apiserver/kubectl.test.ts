import assert from 'node:assert/strict';
import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { listKubectls } from '../../src/sandbox/kubectl.ts';
import { KubectlRunner, type Outcome, type RunOptions } from './kubectl-runner.ts';
import { describeApiServer } from './server-under-test.ts';
import { WIDGET_CRD, widget } from './widgets.ts';

const BINARIES = listKubectls(process.env);

for (const binary of BINARIES) {
  describeApiServer(`kubectl (${binary.split('/').slice(-5).join('/')})`, (server) => {
    let kubectl: KubectlRunner;
    before(async () => {
      kubectl = await KubectlRunner.create(binary, server().kubeconfigPath);
      await succeed(['apply', '-f', '-'], { input: JSON.stringify(WIDGET_CRD) });
      await succeed(['wait', '--for=condition=Established', 'crd/widgets.example.com', '--timeout=30s']);
    });
    after(() => kubectl.close());

    async function run(args: readonly string[], options: RunOptions = {}): Promise<Outcome> {
      return kubectl.run(args, options);
    }

    async function succeed(args: readonly string[], options: RunOptions = {}): Promise<string> {
      const { code, stdout, stderr } = await run(args, options);
      assert.equal(code, 0, `kubectl ${args.join(' ')}: ${stderr}`);
      return stdout;
    }

    async function fail(args: readonly string[], options: RunOptions = {}): Promise<string> {
      const { code, stderr } = await run(args, options);
      assert.notEqual(code, 0, `kubectl ${args.join(' ')} succeeded`);
      return stderr;
    }

    function document(name: string, spec = {}): RunOptions {
      return { input: JSON.stringify(widget(name, spec)) };
    }

    it('creates, prints and deletes', async () => {
      assert.match(await succeed(['create', '-f', '-'], document('made')), /widget\.example\.com\/made created/);
      assert.match(await fail(['create', '-f', '-'], document('made')), /AlreadyExists/);
      assert.match(await succeed(['get', 'wd']), /^NAME +COLOR +READY +SINCE\nmade +red/);
      assert.match(await succeed(['get', 'toys', '-o', 'wide']), /^NAME +COLOR +SIZE +READY +SINCE\n/);
      assert.match(await succeed(['get', 'widget', 'made', '-o', 'yaml']), /size: 3/);
      assert.equal(await succeed(['get', 'widgets', '-o', 'name']), 'widget.example.com/made\n');
      assert.match(await succeed(['delete', 'widget', 'made']), /widget\.example\.com "made" deleted/);
      assert.match(await fail(['get', 'widget', 'made']), /NotFound/);
    });

    it('applies again and again', async () => {
      assert.match(await succeed(['apply', '-f', '-'], document('applied')), /created/);
      assert.match(await succeed(['apply', '-f', '-'], document('applied')), /unchanged/);
      assert.match(await succeed(['apply', '-f', '-'], document('applied', { size: 7 })), /configured/);
      assert.equal(await succeed(['get', 'wd', 'applied', '-o', 'jsonpath={.spec.size}']), '7');
    });

    it('applies a built-in kind, merging its lists', async () => {
      const service = (ports: object[]): RunOptions => ({
        input: JSON.stringify({ apiVersion: 'v1', kind: 'Service', metadata: { name: 'applied' }, spec: { ports } }),
      });
      const web = { name: 'web', port: 80 };
      assert.match(await succeed(['apply', '-f', '-'], service([web])), /created/);
      assert.match(await succeed(['apply', '-f', '-'], service([web])), /unchanged/);
      await succeed(['apply', '-f', '-'], service([web, { name: 'tls', port: 443 }]));
      const ports = ['get', 'service', 'applied', '-o', 'jsonpath={.spec.ports[*].port}'];
      assert.equal(await succeed(ports), '80 443');
      await succeed(['apply', '-f', '-'], service([{ name: 'tls', port: 443 }]));
      assert.equal(await succeed(ports), '443');
    });

    it('applies on the server, and names conflicts', async () => {
      const apply = ['apply', '--server-side', '-f', '-'];
      assert.match(await succeed(apply, document('served', { size: 4 })), /serverside-applied/);
      const other = [...apply, '--field-manager=other'];
      const refusal = await fail(other, document('served', { size: 5 }));
      assert.match(refusal, /conflict with "kubectl".*: \.spec\.size/);
      await succeed([...other, '--force-conflicts'], document('served', { size: 5 }));
      assert.equal(await succeed(['get', 'wd', 'served', '-o', 'jsonpath={.spec.size}']), '5');
    });

    it('refuses bad input with the path and the allowed values', async () => {
      const wrong = await fail(['apply', '-f', '-'], document('bad', { color: 'pink' }));
      assert.match(wrong, /spec\.color: Unsupported value: "pink": supported values: "red", "green", "blue"/);
      const unknown = await fail(['apply', '-f', '-'], document('bad', { colour: 'red' }));
      assert.match(unknown, /unknown field "(spec\.)?colour"/);
    });

    it('patches in three ways', async () => {
      await succeed(['apply', '-f', '-'], document('patched'));
      await succeed(['patch', 'wd', 'patched', '--type=merge', '-p', '{"spec":{"size":8}}']);
      const operations = '[{"op":"add","path":"/spec/tags","value":["a"]}]';
      await succeed(['patch', 'wd', 'patched', '--type=json', '-p', operations]);
      await succeed(['create', '-f', '-'], {
        input: JSON.stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'patched' }, data: { a: 'b' } }),
      });
      await succeed(['patch', 'configmap', 'patched', '-p', '{"data":{"c":"d"}}']);
      assert.equal(await succeed(['get', 'wd', 'patched', '-o', 'jsonpath={.spec.size}{.spec.tags[0]}']), '8a');
      assert.equal(await succeed(['get', 'cm', 'patched', '-o', 'jsonpath={.data.a}{.data.c}']), 'bd');
    });

    it('edits with an editor', async () => {
      await succeed(['apply', '-f', '-'], document('edited'));
      const editor = join(kubectl.home, 'editor');
      await writeFile(editor, '#!/bin/sh\nsed -i "s/size: 3/size: 9/" "$1"\n');
      await chmod(editor, 0o755);
      const output = await succeed(['edit', 'wd', 'edited'], { environment: { EDITOR: editor, KUBE_EDITOR: editor } });
      assert.match(output, /edited/);
      assert.equal(await succeed(['get', 'wd', 'edited', '-o', 'jsonpath={.spec.size}']), '9');
    });

    it('watches', async () => {
      await succeed(['apply', '-f', '-'], document('watched'));
      const watch = kubectl.follow(['get', 'wd', 'watched', '-w']);
      try {
        await watch.until(/NAME +COLOR.*\nwatched +red/);
        const conditions = '{"status":{"conditions":[{"type":"Ready","status":"True"}]}}';
        await server().client.patch(
          '/apis/example.com/v1/namespaces/default/widgets/watched/status',
          'merge-patch+json',
          conditions,
        );
        await watch.until(/watched +red +True/);
      } finally {
        watch.stop();
      }
      await succeed(['wait', '--for=condition=Ready', 'wd/watched', '--timeout=10s']);
    });

    it('describes an object with its events', async () => {
      await succeed(['apply', '-f', '-'], document('described'));
      const uid = await succeed(['get', 'wd', 'described', '-o', 'jsonpath={.metadata.uid}']);
      const involvedObject = {
        apiVersion: 'example.com/v1',
        kind: 'Widget',
        name: 'described',
        namespace: 'default',
        uid,
      };
      const source = { component: 'suite' };
      await server().client.create('/api/v1/namespaces/default/events', {
        metadata: { name: 'described.1' },
        involvedObject,
        source,
        type: 'Normal',
        reason: 'Painted',
        message: 'all red now',
        firstTimestamp: '2026-01-01T00:00:00Z',
        lastTimestamp: '2026-01-01T00:00:00Z',
        count: 1,
      });
      const text = await succeed(['describe', 'wd', 'described']);
      assert.match(text, /Color: +red/);
      assert.match(text, /Normal +Painted .* all red now/);
    });

    it('explains the fields', async () => {
      assert.match(await succeed(['explain', 'widget.spec.color']), /What it looks like/);
      assert.match(await succeed(['explain', 'service.spec.clusterIP']), /clusterIP/);
    });

    it('labels, annotates and selects', async () => {
      await succeed(['apply', '-f', '-'], document('labelled'));
      await succeed(['label', 'wd', 'labelled', 'tier=top']);
      await succeed(['annotate', 'wd', 'labelled', 'example.com/note=hello']);
      assert.equal(await succeed(['get', 'wd', '-l', 'tier=top', '-o', 'name']), 'widget.example.com/labelled\n');
    });

    it('lists the resources of the server and who may use them', async () => {
      assert.match(await succeed(['api-resources']), /widgets +wd +example\.com\/v1 +true +Widget/);
      assert.match(await succeed(['version', '-o', 'json']), /serverVersion/);
      assert.equal(await succeed(['auth', 'can-i', 'list', 'pods']), 'yes\n');
    });

    it('creates built-in objects without a file', async () => {
      await succeed(['create', 'namespace', 'typed']);
      await succeed(['create', 'configmap', 'typed', '--from-literal=a=b', '-n', 'typed']);
      await succeed(['create', 'service', 'nodeport', 'typed', '--tcp=80:8080', '-n', 'typed']);
      const port = await succeed(['get', 'svc', 'typed', '-n', 'typed', '-o', 'jsonpath={.spec.ports[0].targetPort}']);
      assert.equal(port, '8080');
      await succeed([
        'create',
        'role',
        'typed',
        '--verb=get,list',
        '--resource=pods,widgets.example.com',
        '-n',
        'typed',
      ]);
      await succeed([
        'create',
        'rolebinding',
        'typed',
        '--role=typed',
        '--serviceaccount=typed:default',
        '-n',
        'typed',
      ]);
      await succeed(['create', 'clusterrole', 'typed', '--verb=get', '--non-resource-url=/metrics']);
      await succeed(['create', 'clusterrolebinding', 'typed', '--clusterrole=typed', '--group=readers']);
      const rules = ['get', 'role', 'typed', '-n', 'typed', '-o', 'jsonpath={.rules[*].apiGroups}{.rules[*].verbs}'];
      assert.equal(await succeed(rules), '[""] ["example.com"]["get","list"] ["get","list"]');
      const subject = ['get', 'clusterrolebinding', 'typed', '-o', 'jsonpath={.subjects[0].name} {.roleRef.name}'];
      assert.equal(await succeed(subject), 'readers typed');
      await succeed(['delete', 'clusterrole,clusterrolebinding', 'typed']);
      await succeed(['delete', 'namespace', 'typed', '--wait=false']);
    });
  });
}

if (BINARIES.length === 0) {
  describe('kubectl', () =>
    it('works against the server', { skip: 'no kubectl: neither KUBECTL nor .cache nor PATH has one' }));
}
