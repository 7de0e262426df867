import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { makeServerCertificate } from '../../src/sandbox/apiserver/certificates.ts';
import { ControllerCluster } from './controller-cluster.ts';

const NODES = ['n1', 'n2'];
const SECRETS = '/api/v1/namespaces/kube-system/secrets';
const SAMPLE = { status: 'success', data: { resultType: 'vector', result: [{ metric: {}, value: [1, '0'] }] } };

/** A server as Prometheus is run: TLS by an authority of its own, and nothing without a token. */
describe('a gate that needs credentials', { timeout: 120_000 }, () => {
  let cluster: ControllerCluster;
  let server: Server;
  let address: string;
  let caPem: string;
  let shown: (string | undefined)[];

  before(async () => {
    const certificate = await makeServerCertificate(['127.0.0.1'], new Date());
    caPem = certificate.caPem;
    shown = [];
    server = createServer({ key: certificate.keyPem, cert: certificate.certPem }, (request, response) => {
      shown.push(request.headers.authorization);
      response.writeHead(request.headers.authorization === 'Bearer right' ? 200 : 401).end(JSON.stringify(SAMPLE));
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    address = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
    cluster = await ControllerCluster.start();
    await cluster.addNodes(...NODES);
    cluster.run('one', { namespace: 'kube-system' });
    await cluster.createProfile('all', { mode: 'iptables', rollout: { maxUnavailable: 2 } });
    await cluster.untilCondition('all', 'Progressing=False/Complete', { agents: NODES });
  });
  after(async () => {
    await cluster.close();
    server.closeAllConnections();
    server.close();
  });

  async function putSecret(name: string, given: { stringData: object; servers?: string }): Promise<void> {
    const annotations = given.servers === undefined ? {} : { 'switchyard.dev/gate-servers': given.servers };
    const metadata = { name, annotations };
    await cluster.call('POST', SECRETS, { apiVersion: 'v1', kind: 'Secret', metadata, stringData: given.stringData });
  }

  const said = async () => (await cluster.profile('all')).status?.gates?.[0]?.message ?? '';

  it('waits for a Secret that is right, says what is wrong with it, and goes on by itself', async () => {
    const prometheus = { address, query: 'up', secretRef: { name: 'prometheus' } };
    const custom = [{ name: 'check', interval: '200ms', count: 1, prometheus, success: 'result < 1' }];
    const rollout = { canary: { count: 1, soak: '0s' }, maxUnavailable: 1, gates: { custom } };
    await cluster.editProfile('all', { mode: 'nftables', rollout });
    await cluster.untilCondition('all', 'Paused=True/GateInconclusive', { agents: NODES });
    await cluster.until('the Secret is missed', async () => /Secret kube-system\/prometheus/.test(await said()));

    await putSecret('prometheus', { stringData: { token: 'right', 'ca.crt': caPem } });
    await cluster.until('the permission is missed', async () => (await said()).includes('may not be shown'));
    assert.deepEqual(shown, [], 'nothing was shown to a server that the Secret does not name');

    const path = `${SECRETS}/prometheus`;
    const annotations = { 'switchyard.dev/gate-servers': address };
    await cluster.call('PATCH', path, { metadata: { annotations }, stringData: { token: 'wrong' } });
    await cluster.until('the token is refused', async () => (await said()).includes('answered 401'));
    await cluster.call('PATCH', path, { stringData: { token: 'right' } });
    await cluster.untilCondition('all', 'Progressing=False/Complete', { agents: NODES });
  });
});
