import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { runCommand } from '../../../src/sandbox/net/command.ts';
import { Testbed } from '../../../src/sandbox/net/testbed.ts';
import { probe, TrafficServer } from '../../../src/sandbox/traffic/traffic.ts';

const run = async (...argv: readonly string[]): Promise<string> => (await runCommand(argv)).stdout;

describe('the virtual machine', () => {
  it('loads what IPVS mode needs', async () => {
    await run('modprobe', '-a', 'ip_vs', 'ip_vs_rr', 'dummy', 'ip_set', 'ip_set_hash_ip');
    const loaded = readFileSync('/proc/modules', 'utf8');
    for (const module of ['ip_vs', 'ip_vs_rr', 'dummy', 'ip_set', 'ip_set_hash_ip']) {
      assert.match(loaded, new RegExp(`^${module} `, 'm'));
    }
    assert.match(await run('ipvsadm', '-L'), /IP Virtual Server version/);
  });

  it('has the settings of the initial network namespace', () => {
    const path = '/proc/sys/net/netfilter/nf_conntrack_max';
    const before = readFileSync(path, 'utf8');
    writeFileSync(path, '54321');
    assert.equal(readFileSync(path, 'utf8').trim(), '54321');
    writeFileSync(path, before);
    assert.ok(Number(readFileSync('/sys/module/nf_conntrack/parameters/hashsize', 'utf8')) > 0);
  });

  it('carries traffic between the namespaces of a testbed', async () => {
    await using testbed = await Testbed.create({ nodes: [{ name: 'n1', pods: 1 }], outside: true });
    const [pod] = testbed.pods;
    assert.ok(pod !== undefined);
    await TrafficServer.start(testbed, pod, [{ protocol: 'TCP', port: 8080 }]);
    await testbed.route(testbed.outside, '10.244.0.0/16', testbed.node('n1'));
    const result = await probe(testbed, testbed.outside, { protocol: 'TCP', address: pod.address, port: 8080 });
    assert.deepEqual(result.backends, { 'n1-p1': 1 });
  });
});
