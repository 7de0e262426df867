import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { libraryAccess, plainAccess, type ClusterAccess } from '../../../src/cli/operate/cluster-access.ts';

const PEM = '-----BEGIN CERTIFICATE-----\nQQ==\n-----END CERTIFICATE-----\n';
const DATA = Buffer.from(PEM).toString('base64');
const SERVER = 'https://192.0.2.1:6443/prefix/';

interface Parts {
  readonly cluster?: object;
  readonly user?: object;
  readonly context?: object;
}

const PLAIN: readonly (Parts & { readonly name: string })[] = [
  { name: 'a token', user: { token: 'secret' } },
  { name: 'a client certificate', user: { 'client-certificate-data': DATA, 'client-key-data': DATA } },
  { name: 'files beside it', cluster: { 'certificate-authority': 'ca.pem' }, user: { 'client-key': 'ca.pem' } },
  { name: 'a CA', cluster: { 'certificate-authority-data': DATA }, user: { token: 'secret' } },
  { name: 'another name of the server', cluster: { 'tls-server-name': 'kubernetes' } },
  { name: 'no look at certificates', cluster: { 'insecure-skip-tls-verify': true } },
  { name: 'a namespace', context: { namespace: 'shop' } },
];

const OTHERS: readonly (Parts & { readonly name: string })[] = [
  { name: 'a program that logs in', user: { exec: { apiVersion: 'client.authentication.k8s.io/v1', command: 'x' } } },
  { name: 'a provider of tokens', user: { 'auth-provider': { name: 'oidc' } } },
  { name: 'a file with a token', user: { tokenFile: 'token' } },
  { name: 'a password', user: { username: 'me', password: 'secret' } },
  { name: 'somebody else to be', user: { token: 'secret', as: 'root' } },
  { name: 'a proxy', cluster: { 'proxy-url': 'http://192.0.2.2:3128' } },
  { name: 'no TLS', cluster: { server: 'http://127.0.0.1:8001' } },
  { name: 'a field that nobody knows', user: { token: 'secret', password2: 'x' } },
  { name: 'no user', context: { user: undefined } },
  { name: 'a user that is not there', context: { user: 'nobody' } },
];

describe('access by a kubeconfig', () => {
  const folder = mkdtempSync(join(tmpdir(), 'switchyard-access-'));
  writeFileSync(join(folder, 'ca.pem'), PEM);
  after(() => rmSync(folder, { recursive: true, force: true }));

  function write({ cluster, user, context }: Parts): string {
    const path = join(folder, 'config');
    const other = { name: 'other', context: { cluster: 'c', user: 'u', namespace: 'elsewhere' } };
    const config = {
      'current-context': 'x',
      contexts: [{ name: 'x', context: { cluster: 'c', user: 'u', ...context } }, other],
      clusters: [{ name: 'c', cluster: { server: SERVER, ...cluster } }],
      users: [{ name: 'u', user: user ?? {} }],
    };
    writeFileSync(path, JSON.stringify(config));
    return path;
  }

  /** What a request takes from it; a buffer and its text are the same. */
  async function shown(access: ClusterAccess) {
    const { server, namespace } = access;
    const { ca, cert, key, servername, rejectUnauthorized, headers } = await access.options();
    const pem = [ca, cert, key].map((value) => (Buffer.isBuffer(value) ? value.toString() : value));
    return { server, namespace, pem, servername, rejectUnauthorized, headers };
  }

  for (const { name, ...parts } of PLAIN) {
    it(`is without the library what it is with it: ${name}`, async () => {
      const flags = { kubeconfig: write(parts), requestTimeout: 30 };
      const plain = plainAccess(flags);
      assert.ok(plain !== undefined);
      assert.deepEqual(await shown(plain), await shown(libraryAccess(flags)));
    });
  }

  it('is of the context that is asked for', async () => {
    const flags = { kubeconfig: write({}), requestTimeout: 30, context: 'other' };
    const plain = plainAccess(flags);
    assert.equal(plain?.namespace, 'elsewhere');
    assert.deepEqual(await shown(plain), await shown(libraryAccess(flags)));
  });

  for (const { name, ...parts } of OTHERS) {
    it(`is left to the library: ${name}`, () => {
      assert.equal(plainAccess({ kubeconfig: write(parts), requestTimeout: 30 }), undefined);
    });
  }

  it('is left to the library: what flags put together, several files, and what cannot be read', () => {
    const kubeconfig = write({ user: { token: 'secret' } });
    for (const flags of [{ cluster: 'c' }, { user: 'u' }, { context: 'none' }, { kubeconfig: join(folder, 'none') }])
      assert.equal(plainAccess({ kubeconfig, requestTimeout: 30, ...flags }), undefined, JSON.stringify(flags));
    const before = process.env['KUBECONFIG'];
    try {
      process.env['KUBECONFIG'] = `${kubeconfig}:${kubeconfig}`;
      assert.equal(plainAccess({ requestTimeout: 30 }), undefined);
      process.env['KUBECONFIG'] = kubeconfig;
      assert.notEqual(plainAccess({ requestTimeout: 30 }), undefined);
    } finally {
      if (before === undefined) delete process.env['KUBECONFIG'];
      else process.env['KUBECONFIG'] = before;
    }
  });
});
