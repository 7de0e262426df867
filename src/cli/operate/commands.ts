import { Command } from 'commander';
import { act, PEOPLE_AND_PROGRAMS, profileArgument, USUAL, WATCHED } from './command-parts.ts';
import { exampleHelp, exitCodeHelp, parseSeconds, withClusterFlags, withOutputFlag } from './flags.ts';
import { lookCommands } from './look-commands.ts';
import type { ChangeFlags, HistoryFlags, ResumeFlags, RollbackFlags } from './rollback.ts';
import type { StatusFlags } from './status.ts';

// Each action imports what it runs only when it runs.

const DEFAULT_TIMEOUT_SECONDS = 1_800;

function withWatch(command: Command, description: string): Command {
  return command
    .option('-w, --watch', description)
    .option('--timeout <time>', 'how long --watch waits, such as 90s or 30m', parseSeconds, DEFAULT_TIMEOUT_SECONDS);
}

function withChange(command: Command): Command {
  return withWatch(withClusterFlags(command), 'afterwards follow the rollout to its end').option(
    '--dry-run',
    'let the API server check the change without making it',
  );
}

function statusCommand(): Command {
  const command = new Command('status')
    .summary('Show how the fleet, a profile or a node stands.')
    .description('Show how the fleet stands, or one profile (NAME, profile/NAME) or node (node/NAME).')
    .argument('[target...]', 'NAME or profile/NAME, node/NAME, or nothing for all');
  withOutputFlag(withWatch(withClusterFlags(command), 'follow the rollout, a line for each step, until it is over'));
  return command
    .addHelpText(
      'after',
      exampleHelp(
        ['status', 'profiles, and the nodes of the fleet'],
        ['status node/worker-3', 'all that is known of one node'],
        [
          'status fleet --watch --timeout 30m',
          'follow a rollout to its end, for scripts: the exit code says how it ended',
        ],
      ),
    )
    .addHelpText(
      'after',
      exitCodeHelp('0  shown; --watch: every node runs what it is to run', ...USUAL.slice(1), ...WATCHED),
    )
    .action((words: string[], flags: StatusFlags) =>
      act(async () => (await import('./status.ts')).runStatus(words, flags)),
    );
}

function historyCommand(): Command {
  const command = new Command('history')
    .description('List the revisions that a profile has asked for, the newest last, and what each changed.')
    .addArgument(profileArgument());
  return withOutputFlag(withClusterFlags(command), PEOPLE_AND_PROGRAMS)
    .addHelpText('after', exampleHelp(['history fleet', 'the revisions of a profile, and what each changed']))
    .addHelpText('after', exitCodeHelp(...USUAL))
    .action((name: string | undefined, flags: HistoryFlags) =>
      act(async () => (await import('./rollback.ts')).runHistory(name, flags)),
    );
}

function rollbackCommand(): Command {
  const command = new Command('rollback')
    .summary('Make a profile ask for an earlier revision again.')
    .description(
      'Make a profile ask for an earlier revision again, by an edit of its spec as you would make it; the controller then ' +
        'brings the nodes there. Without --to: the last completed revision, or the one before if that is what it asks for.',
    )
    .addArgument(profileArgument())
    .option('--to <revision>', 'number or revision as `history` shows them');
  return withChange(command)
    .addHelpText(
      'after',
      exampleHelp(
        ['rollback fleet --dry-run', 'what would be asked for'],
        ['rollback fleet --to 3 --watch', 'go back to revision 3 of the history, and follow it'],
      ),
    )
    .addHelpText('after', exitCodeHelp(...USUAL, ...WATCHED))
    .action((name: string | undefined, flags: RollbackFlags) =>
      act(async () => (await import('./rollback.ts')).runRollback(name, flags)),
    );
}

function pauseCommand(): Command {
  const command = new Command('pause')
    .description('Start no further node. Nodes that are changing now finish, and a rollback is not held up.')
    .addArgument(profileArgument());
  return withClusterFlags(command)
    .option('--dry-run', 'let the API server check the change without making it')
    .addHelpText('after', exampleHelp(['pause fleet', 'start no further node']))
    .addHelpText('after', exitCodeHelp(...USUAL))
    .action((name: string | undefined, flags: ChangeFlags) =>
      act(async () => (await import('./rollback.ts')).runPause(name, flags)),
    );
}

function resumeCommand(): Command {
  const command = new Command('resume')
    .description('Let a paused rollout go on.')
    .addArgument(profileArgument())
    .option(
      '--approve',
      'also approve the target revision, where spec.rollout.canary.approval is Manual or a gate has no data',
    );
  return withChange(command)
    .addHelpText(
      'after',
      exampleHelp(
        ['resume fleet --watch', 'go on, and follow it'],
        ['resume fleet --approve', 'let the fleet follow a canary that waits for a person'],
      ),
    )
    .addHelpText('after', exitCodeHelp(...USUAL, ...WATCHED))
    .action((name: string | undefined, flags: ResumeFlags) =>
      act(async () => (await import('./rollback.ts')).runResume(name, flags)),
    );
}

/** The commands for people, also as `kubectl switchyard`. */
export function operateCommands(): Command[] {
  return [statusCommand(), historyCommand(), rollbackCommand(), pauseCommand(), resumeCommand(), ...lookCommands()];
}
