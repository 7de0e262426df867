import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseKubeConfig } from '../../src/kube/kubeconfig.ts';

const base64 = (text: string) => Buffer.from(text).toString('base64');

const config = (parts: { cluster?: object; user?: object; context?: string } = {}) =>
  JSON.stringify({
    'current-context': parts.context ?? 'c',
    contexts: [{ name: 'c', context: { cluster: 'k', user: 'u' } }],
    clusters: [{ name: 'k', cluster: parts.cluster ?? { server: 'https://10.0.0.1:6443/' } }],
    users: [{ name: 'u', user: parts.user ?? {} }],
  });

describe('kubeconfig', () => {
  it('reads inline data of the current context', () => {
    const text = config({
      cluster: { server: 'https://api:6443', 'certificate-authority-data': base64('CA'), 'tls-server-name': 'api' },
      user: { 'client-certificate-data': base64('CERT'), 'client-key-data': base64('KEY'), token: 't' },
    });
    assert.deepEqual(parseKubeConfig(text, '/'), {
      server: 'https://api:6443',
      insecureSkipTlsVerify: false,
      ca: 'CA',
      tlsServerName: 'api',
      clientCertificate: 'CERT',
      clientKey: 'KEY',
      token: 't',
    });
  });

  it('takes paths as relative to the file', () => {
    assert.equal(parseKubeConfig(config({ user: { tokenFile: 'token' } }), '/etc/x').tokenFile, '/etc/x/token');
  });

  it('drops the trailing slash of the server', () => {
    assert.equal(parseKubeConfig(config(), '/').server, 'https://10.0.0.1:6443');
  });

  const BAD = [
    { name: 'no mapping', text: 'x', reason: /not a YAML mapping/ },
    { name: 'unknown context', text: config({ context: 'other' }), reason: /no context "other"/ },
    { name: 'no server', text: config({ cluster: {} }), reason: /server is not a URL/ },
    {
      name: 'a credential plugin',
      text: config({ user: { exec: { command: 'x' } } }),
      reason: /"exec", which is not supported/,
    },
  ];
  for (const { name, text, reason } of BAD) {
    it(`refuses ${name}`, () => {
      assert.throws(() => parseKubeConfig(text, '/'), reason);
    });
  }
});
