import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { BareNode, keep, reach, snapshot, sysctl } from './bare-node.ts';
import { REBOOTED, type BeforeReboot } from './rebooted.ts';

describe('a node before its power is cut', () => {
  const node = new BareNode();

  before(async () => {
    await node.prepare();
    await node.api.listen();
  });
  after(async () => {
    await node.stop('SIGKILL');
    await node.destroy();
  });

  it('serves, and has on disk what it needs to serve again', async () => {
    const bare = await snapshot();
    node.start();
    node.api.want(REBOOTED.config);
    await node.untilReason('Ready', 'Ready');
    assert.equal(await reach(), 'hello');
    await node.untilTrue('the Services are on disk', () => existsSync('/var/lib/switchyard/services.ndjson'));
    const settings = Object.fromEntries(REBOOTED.sysctls.map((name) => [name, sysctl(name)]));
    keep('before.json', { bare, settings } satisfies BeforeReboot);
  });
});
