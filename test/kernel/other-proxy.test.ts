import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { findOtherProxy } from '../../src/kernel/other-proxy.ts';

const HERE = 'net:[1]';
const ELSEWHERE = 'net:[2]';
const HEADER = '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n';
/** Port 10256 on all addresses, as /proc/net/tcp shows a listener. */
const LISTENER = '   0: 00000000:2810 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 777 1\n';

interface World {
  readonly processes?: readonly (readonly [name: string, network: string])[];
  readonly isListening?: boolean;
  readonly isOurs?: boolean;
}

/** A folder as /proc, with these processes. */
function procFolder({ processes = [], isListening = false, isOurs = false }: World): string {
  const folder = mkdtempSync(join(tmpdir(), 'switchyard-proc-'));
  const add = (id: string, name: string, network: string) => {
    mkdirSync(join(folder, id, 'ns'), { recursive: true });
    symlinkSync(network, join(folder, id, 'ns/net'));
    writeFileSync(join(folder, id, 'comm'), `${name.slice(0, 15)}\n`);
    writeFileSync(join(folder, id, 'cmdline'), `/usr/local/bin/${name}\0--config=x\0`);
  };
  add('self', 'switchyard', HERE);
  mkdirSync(join(folder, 'self/net'));
  mkdirSync(join(folder, 'self/fd'));
  writeFileSync(join(folder, 'self/net/tcp'), HEADER + (isListening ? LISTENER : ''));
  if (isOurs) symlinkSync('socket:[777]', join(folder, 'self/fd/3'));
  for (const [index, [name, network]] of processes.entries()) add(String(100 + index), name, network);
  return folder;
}

const TABLE: readonly { name: string; world: World; expected: readonly [string, boolean] | null }[] = [
  { name: 'nothing', world: { processes: [['kubelet', HERE]] }, expected: null },
  { name: 'kube-proxy', world: { processes: [['kube-proxy', HERE]] }, expected: ['kube-proxy', true] },
  { name: 'kube-proxy in another network', world: { processes: [['kube-proxy', ELSEWHERE]] }, expected: null },
  { name: 'Cilium', world: { processes: [['cilium-agent', HERE]] }, expected: ['Cilium', true] },
  { name: 'kube-router', world: { processes: [['kube-router', HERE]] }, expected: ['kube-router', true] },
  { name: 'OVN-Kubernetes', world: { processes: [['ovnkube', HERE]] }, expected: ['OVN-Kubernetes', true] },
  { name: 'Calico, which need not be one', world: { processes: [['calico-node', HERE]] }, expected: null },
  { name: 'Antrea, which need not be one', world: { processes: [['antrea-agent', HERE]] }, expected: null },
  { name: 'somebody on its port', world: { isListening: true }, expected: ['kube-proxy', true] },
  { name: 'ourselves on its port', world: { isListening: true, isOurs: true }, expected: null },
];

describe('another Service proxy on a node is seen', () => {
  for (const { name, world, expected } of TABLE) {
    it(name, async () => {
      const procDir = procFolder(world);
      try {
        const found = await findOtherProxy({ procDir, hasNftables: false });
        assert.deepEqual(found === undefined ? null : [found.kind, found.isRunning], expected);
      } finally {
        rmSync(procDir, { recursive: true });
      }
    });
  }
});
