import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { BareNode, differences, isLoaded, kept, reach, sh, snapshot, sysctl } from './bare-node.ts';
import { REBOOTED, type BeforeReboot } from './rebooted.ts';

const SERVICES = '/api/v1/services';

describe('the node after its power was cut', () => {
  const node = new BareNode();
  const { api } = node;
  let earlier: BeforeReboot;
  const settings = () => Object.fromEntries(REBOOTED.sysctls.map((name) => [name, sysctl(name)]));

  before(async () => {
    earlier = kept('before.json') as BeforeReboot;
    await node.prepare();
  });
  after(async () => {
    await node.stop('SIGKILL');
    await node.destroy();
  });

  it('has forgotten everything but its disk', async () => {
    assert.deepEqual(
      REBOOTED.modules.filter((name) => isLoaded(name)),
      [],
    );
    assert.notEqual(await reach(), 'hello');
  });

  it('gets its modules and settings from its boot files, before any agent runs', async () => {
    // As systemd-modules-load and systemd-sysctl do, in this order.
    await sh("grep -v '^#' /etc/modules-load.d/switchyard.conf | xargs -n 1 modprobe");
    await sh('sysctl -p /etc/sysctl.d/99-switchyard.conf');
    assert.deepEqual(
      REBOOTED.modules.filter((name) => !isLoaded(name)),
      [],
    );
    assert.deepEqual(settings(), earlier.settings);
  });

  it('serves what was known last while nobody answers at the API server’s address', async () => {
    // Somebody else's boot file came after ours.
    await sh('echo 1000 > /proc/sys/net/core/netdev_max_backlog; rmmod br_netfilter');
    node.start();
    await node.untilReached();
    assert.deepEqual(settings(), earlier.settings);
    assert.match(node.log, /it may be stale/);
  });

  it('says that it is stale as long as the Services cannot be read, and serves on', async () => {
    api.hide(SERVICES, true);
    api.want(REBOOTED.config);
    await api.listen();
    await node.untilReason('DataplaneSynced', 'StaleProgramming');
    assert.equal(node.condition('Ready')?.status, 'False');
    assert.equal(await reach(), 'hello');
    api.hide(SERVICES, false);
    await node.untilReason('Ready', 'Ready');
    assert.equal(node.condition('Drifted')?.reason, 'NoDrift');
    assert.ok(api.reasons.includes('StaleProgramming'));
    assert.equal(await reach(), 'hello');
  });

  it('is as it was before Switchyard ever came, after release', async () => {
    api.want(REBOOTED.config, 'Release');
    await node.untilReason('Applied', 'Released');
    await node.stop('SIGTERM');
    assert.deepEqual(differences(earlier.bare, await snapshot()), []);
  });
});
