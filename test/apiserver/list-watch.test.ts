import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, beforeEach, describe, it } from 'node:test';
import { KubeClient } from '../../src/kube/client.ts';
import { Complaints } from '../../src/kube/complaints.ts';
import { ApiError } from '../../src/kube/error.ts';
import { parseKubeConfig } from '../../src/kube/kubeconfig.ts';
import { runListWatch } from '../../src/kube/list-watch.ts';
import { startApiServer, type EmbeddedApiServer } from '../../src/sandbox/apiserver/api-server.ts';
import { systemClock } from '../../src/support/clock.ts';
import { silentLog } from '../../src/support/log.ts';
import { CuttableProxy } from '../fakes/cuttable-proxy.ts';

interface ConfigMap {
  readonly metadata: { readonly name: string };
  readonly data?: Readonly<Record<string, string>>;
}

const PATH = '/api/v1/namespaces/default/configmaps';

interface Watched {
  readonly of?: KubeClient;
  readonly path?: string;
  readonly unlisted?: () => void;
}

/** What a handler was told, as the set of objects it must now believe in. */
class Belief {
  readonly objects = new Map<string, ConfigMap>();
  lists = 0;
  #look: () => void = () => undefined;

  readonly handler = {
    replace: (objects: readonly ConfigMap[]) => {
      this.objects.clear();
      this.lists += 1;
      for (const object of objects) this.objects.set(object.metadata.name, object);
      this.#look();
    },
    upsert: (object: ConfigMap) => {
      this.objects.set(object.metadata.name, object);
      this.#look();
    },
    remove: (object: ConfigMap) => {
      this.objects.delete(object.metadata.name);
      this.#look();
    },
  };

  until(isTrue: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      this.#look = () => {
        if (isTrue()) resolve();
      };
      this.#look();
    });
  }
}

describe('list and watch', () => {
  let server: EmbeddedApiServer;
  let proxy: CuttableProxy;
  let client: KubeClient;
  /** Writes past the proxy, so that a cut hits the watch alone. */
  let writer: KubeClient;
  let belief: Belief;

  before(async () => {
    server = await startApiServer();
    writer = new KubeClient(parseKubeConfig(server.kubeconfig(), '/'));
    proxy = await CuttableProxy.to(Number(new URL(server.url).port));
    client = new KubeClient(parseKubeConfig(server.kubeconfig({ server: `https://127.0.0.1:${proxy.port}` }), '/'));
  });

  after(async () => {
    await client.close();
    await writer.close();
    proxy.close();
    await server.close();
  });

  beforeEach(() => {
    belief = new Belief();
  });

  const apply = (name: string, value: string) =>
    writer.apply(
      `${PATH}/${name}`,
      { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name }, data: { value } },
      'test',
    );

  /** Runs `story` while the list-watch runs, then stops it. */
  async function watching(
    story: () => Promise<void>,
    { of = client, path = PATH, unlisted }: Watched = {},
  ): Promise<void> {
    const stop = new AbortController();
    const ended = runListWatch<ConfigMap>({
      client: of,
      path,
      selectors: { fieldSelector: 'metadata.name!=kube-root-ca.crt' },
      handler: { ...belief.handler, ...(unlisted === undefined ? {} : { unlisted }) },
      clock: systemClock,
      complaints: new Complaints({ server: server.url, clock: systemClock, log: silentLog }),
      signal: stop.signal,
    });
    try {
      await story();
    } finally {
      stop.abort();
      await ended;
    }
  }

  it('lists what is there and follows every change', async () => {
    await apply('before', '1');
    await watching(async () => {
      await belief.until(() => belief.objects.has('before'));
      await apply('after', '1');
      await apply('after', '2');
      await belief.until(() => belief.objects.get('after')?.data?.['value'] === '2');
      assert.equal(belief.lists, 1);
    });
  });

  it('goes on after every connection was cut, without a second list', async () => {
    await watching(async () => {
      await belief.until(() => belief.lists === 1);
      await apply('cut', '1');
      await belief.until(() => belief.objects.has('cut'));
      proxy.cut();
      await apply('cut', '2');
      await belief.until(() => belief.objects.get('cut')?.data?.['value'] === '2');
      assert.equal(belief.lists, 1);
    });
  });

  it('lists again when its version is no longer kept', async () => {
    await watching(async () => {
      await belief.until(() => belief.lists === 1);
      proxy.cut();
      await apply('compacted', '1');
      server.compact();
      await belief.until(() => belief.objects.has('compacted'));
    });
  });

  it('is never led back in time by the old cache of another API server', async () => {
    const answers = createServer((request, response) => {
      const query = new URL(request.url ?? '/', 'http://server').searchParams;
      const [version, name] = query.get('resourceVersion') === '0' ? ['50', 'old'] : ['100', 'new'];
      const list = { metadata: { resourceVersion: version }, items: [{ metadata: { name } }] };
      const gone = { type: 'ERROR', object: { kind: 'Status', code: 410, reason: 'Expired' } };
      if (!query.has('watch')) response.end(JSON.stringify(list));
      else if (query.get('resourceVersion') === '50') response.end(`${JSON.stringify(gone)}\n`);
      else response.writeHead(200).flushHeaders();
    });
    await new Promise<void>((resolve) => void answers.listen(0, '127.0.0.1', resolve));
    const server = `http://127.0.0.1:${(answers.address() as AddressInfo).port}`;
    const one = new KubeClient({ server, insecureSkipTlsVerify: false });
    try {
      await watching(() => belief.until(() => belief.objects.has('new')), { of: one });
    } finally {
      await one.close();
      answers.closeAllConnections();
      answers.close();
    }
  });

  it('takes a kind that the server does not have as one without objects', async () => {
    const path = '/apis/networking.k8s.io/v9/servicecidrs';
    await watching(() => belief.until(() => belief.lists === 1), { path, unlisted: assert.fail });
    assert.equal(belief.objects.size, 0);
  });

  it('says that nobody need wait where a kind cannot be listed, and forgets nothing of it', async () => {
    const nobody = new KubeClient({ server: 'http://127.0.0.1:1', insecureSkipTlsVerify: false });
    try {
      const { promise, resolve } = Promise.withResolvers<void>();
      await watching(() => promise, { of: nobody, unlisted: resolve });
      assert.equal(belief.lists, 0);
    } finally {
      await nobody.close();
    }
  });

  it('reports a refusal with its status and what was asked for', async () => {
    await assert.rejects(client.get('/api/v1/namespaces/default/configmaps/none'), (error) => {
      assert.ok(error instanceof ApiError);
      assert.deepEqual([error.status, error.reason, error.retryable], [404, 'NotFound', false]);
      return true;
    });
  });

  it('reports a server that does not answer as retryable', async () => {
    const nobody = new KubeClient({ server: 'https://127.0.0.1:1', insecureSkipTlsVerify: true });
    await assert.rejects(
      nobody.get('/version'),
      (error) => error instanceof ApiError && error.status === 0 && error.retryable,
    );
    await nobody.close();
  });
});
