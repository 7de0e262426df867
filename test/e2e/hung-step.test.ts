import assert from 'node:assert/strict';
import { chmod, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { agentState } from '../../src/core/node/agent-state.ts';
import { isOver, type Attempt } from '../../src/core/node/mode-switch.ts';
import type { ImplementedMode } from '../../src/core/mode.ts';
import { AgentGround, eventually } from './agent-ground.ts';

const RESTORES = ['iptables', 'ip6tables'].flatMap((tool) =>
  ['nft', 'legacy'].map((kind) => `${tool}-${kind}-restore`),
);
/** Long enough for all steps but the one that hangs. */
const DEADLINE = '5s';
/** Less than a program that hangs has by itself. */
const ENDS_WITHIN_MS = 40_000;

/** `step` writes with iptables-restore, which hangs: what it has started keeps its pipes open. */
const CASES: readonly { readonly from: ImplementedMode; readonly to: ImplementedMode; readonly step: string }[] = [
  { from: 'nftables', to: 'iptables', step: 'Program' },
  { from: 'iptables', to: 'nftables', step: 'Commit' },
];

describe('a step of a switch that hangs, under load', { timeout: 240_000 }, () => {
  let ground: AgentGround;
  beforeEach(async () => {
    ground = await AgentGround.create();
    await mkdir(ground.path('bin'));
    for (const program of RESTORES) {
      const script = `[ -e ${ground.path('hang')} ] && { sleep 600 & wait; }\nexec /usr/sbin/${program} "$@"`;
      await writeFile(ground.path(`bin/${program}`), `#!/bin/sh\n${script}\n`);
      await chmod(ground.path(`bin/${program}`), 0o755);
    }
  });
  afterEach(() => ground.destroy());

  const lastAttempt = async (): Promise<Attempt | undefined> => {
    const text = await readFile(ground.path('state/state.json'), 'utf8').catch(() => '');
    return text === ''
      ? undefined
      : (agentState.parse((JSON.parse(text) as { content: unknown }).content).attempt ?? undefined);
  };

  for (const { from, to, step } of CASES) {
    it(`is ended by the deadline, in ${step} from ${from} to ${to}, and nobody notices`, async () => {
      await ground.setMode(from);
      ground.startAgent({ wrapper: ['env', `PATH=${ground.path('bin')}:${process.env['PATH']}`] });
      await ground.untilServing(from);
      await ground.startLoad();
      await writeFile(ground.path('hang'), '');
      await ground.setProfile({ mode: to, rollout: { nodeDeadline: DEADLINE } });
      const ended = await eventually(
        'the attempt is over',
        async () => {
          const attempt = await lastAttempt();
          return attempt?.to.config.mode === to && isOver(attempt) ? attempt : undefined;
        },
        ENDS_WITHIN_MS,
      );
      const { phase, failure } = ended;
      assert.deepEqual([phase, failure?.code, failure?.phase], ['RolledBack', 'DeadlineExceeded', step]);
      assert.match(failure?.message ?? '', /iptables.*-restore.*killed/);
      assert.deepEqual(await ground.presentModes(), [from]);

      await rm(ground.path('hang'));
      await ground.setMode(to);
      await ground.untilServing(to);
      const { lost, failed, resentSyns } = await ground.stopLoad();
      assert.deepEqual({ lost, failed, resentSyns }, { lost: 0, failed: [], resentSyns: 0 });
    });
  }
});
