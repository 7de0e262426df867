import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Cleanup } from './cleanup.ts';
import { ManagedProcess, type ProcessSpec } from './process.ts';
import type { Stage } from './stage.ts';
import { CONTROLLER_NAMESPACE } from './story.ts';

const SWITCHYARD = fileURLToPath(new URL('../../../bin/switchyard', import.meta.url));

function listProcesses({ testbed, folder, innerKubeconfig }: Stage): ProcessSpec[] {
  const logFile = (name: string): string => join(folder, 'logs', `${name}.log`);
  const shared = ['--kubeconfig', innerKubeconfig];
  return [
    {
      name: 'controller',
      // Not on a node: it talks to the API server only.
      host: testbed.fabric,
      argv: [SWITCHYARD, 'controller', ...shared, '--namespace', CONTROLLER_NAMESPACE],
      logFile: logFile('controller'),
    },
    ...testbed.nodes.map((node) => ({
      name: `agent ${node.name}`,
      host: node,
      argv: [SWITCHYARD, 'agent', ...shared, '--node-name', node.name, '--state-dir', join(folder, 'state', node.name)],
      logFile: logFile(`agent-${node.name}`),
    })),
  ];
}

/** Starts the controller and an agent inside each node, as the real processes that they are in a cluster. */
export function startProduct(stage: Stage, cleanup: Cleanup, onDeath: (error: Error) => void): void {
  const processes = listProcesses(stage).map((spec) => new ManagedProcess(stage.testbed, spec, onDeath));
  cleanup.add(async () => {
    await Promise.all(processes.map((process) => process.stop()));
  });
}
