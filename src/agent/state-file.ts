import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { agentState, EMPTY_STATE, type AgentState } from '../core/agent-state.ts';
import type { Log } from '../support/log.ts';

/** The agent's state in `state.json` of a folder of its own: written whole, by rename, so that it is old or new, never half. */
export class StateFile {
  readonly #folder: string;
  readonly #path: string;
  readonly #log: Log;

  constructor(folder: string, log: Log) {
    this.#folder = folder;
    this.#path = join(folder, 'state.json');
    this.#log = log;
  }

  /** Never throws: a damaged file is set aside under another name and said so, and the state counts as empty. */
  read(): AgentState {
    let text: string;
    try {
      text = readFileSync(this.#path, 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT')
        this.#log.warn({ path: this.#path, problem: String(error) }, 'cannot read the saved state');
      return EMPTY_STATE;
    }
    try {
      return agentState.parse(JSON.parse(text));
    } catch (error) {
      const aside = `${this.#path}.damaged`;
      renameSync(this.#path, aside);
      this.#log.warn(
        { path: this.#path, setAsideAs: aside, problem: (error as Error).message },
        'the saved state is damaged and was set aside',
      );
      return EMPTY_STATE;
    }
  }

  /** Throws when the disk refuses; the state before is then still there. */
  write(state: AgentState): void {
    mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
    const temporary = `${this.#path}.new`;
    const descriptor = openSync(temporary, 'w', 0o600);
    try {
      writeSync(descriptor, `${JSON.stringify(state)}\n`);
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
    renameSync(temporary, this.#path);
  }

  remove(): void {
    for (const suffix of ['', '.new', '.damaged']) rmSync(this.#path + suffix, { force: true });
  }
}
