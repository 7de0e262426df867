import { Command, InvalidArgumentError } from 'commander';
import type { CheckFlags, ReleaseFlags } from './run.ts';

function parseSeconds(text: string): number {
  if (!/^[1-9][0-9]{0,5}$/.test(text)) throw new InvalidArgumentError('expected a number of seconds.');
  return Number(text);
}

function withUsualOptions(command: Command, timeoutSeconds: number): Command {
  return command
    .option('--kubeconfig <file>', "how to reach the API server; the pod's service account when absent")
    .option('--timeout <seconds>', 'how long to try', parseSeconds, timeoutSeconds);
}

function releaseCommand(): Command {
  const command = new Command('release')
    .summary('Give every node back: all profiles go, with what they made.')
    .description(
      'Deletes every ProxyProfile so that agents first take out what is ours and put back what was there before. ' +
        'What the chart runs before it is uninstalled. Something else must serve Services afterwards.',
    );
  return withUsualOptions(command, 900).action(async (flags: ReleaseFlags) => {
    const { runRelease } = await import('./run.ts');
    await runRelease(flags);
  });
}

function checkCommand(): Command {
  const command = new Command('check')
    .summary('Check that an installation works.')
    .description('Checks that the definitions are served, a controller leads and an agent is ready on every node.')
    .option('-n, --namespace <name>', 'where it is installed', 'kube-system')
    .option('--daemonset <name>', 'of the agents', 'switchyard-agent');
  return withUsualOptions(command, 120).action(async (flags: CheckFlags) => {
    const { runCheck } = await import('./run.ts');
    await runCheck(flags);
  });
}

/** What the chart runs: before it is uninstalled, and as its test. */
export function installationCommands(): Command[] {
  return [checkCommand(), releaseCommand()];
}
