import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Cleanup } from './cleanup.ts';
import { ManagedProcess, type ProcessSpec } from './process.ts';
import type { Stage } from './stage.ts';
import { CONTROLLER_NAMESPACE } from './story.ts';

const SWITCHYARD = fileURLToPath(new URL('../../../bin/switchyard', import.meta.url));

/** The controller runs in the fabric, not on a node: it talks to the API server only. */
async function listProcesses({ testbed, folder, kubeconfigFor }: Stage): Promise<ProcessSpec[]> {
  const logs = join(folder, 'logs');
  await mkdir(logs);
  const controller = ['controller', '--kubeconfig', await kubeconfigFor('controller')];
  const agents = testbed.nodes.map(async (node) => {
    const stateFolder = join(folder, 'state', node.name);
    const name = `agent-${node.name}`;
    const argv = ['agent', '--kubeconfig', await kubeconfigFor(name), '--node-name', node.name];
    return {
      name: `the agent of ${node.name}`,
      host: node,
      argv: [SWITCHYARD, ...argv, '--state-dir', stateFolder],
      logFile: join(logs, `${name}.log`),
    };
  });
  return [
    {
      name: 'the controller',
      host: testbed.fabric,
      argv: [SWITCHYARD, ...controller, '--namespace', CONTROLLER_NAMESPACE],
      logFile: join(logs, 'controller.log'),
    },
    ...(await Promise.all(agents)),
  ];
}

/**
 * Starts the controller and an agent inside each node, as the real processes that they are in a cluster. `onDeath` hears
 * of one that ends before the clean-up.
 */
export async function startProduct(stage: Stage, cleanup: Cleanup, onDeath: (error: Error) => void): Promise<void> {
  const specs = await listProcesses(stage);
  const processes = specs.map((spec) => new ManagedProcess(stage.testbed, spec, onDeath));
  cleanup.add(async () => {
    await Promise.all(processes.map((process) => process.stop()));
  });
}
