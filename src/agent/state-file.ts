import { join } from 'node:path';
import { agentState, EMPTY_STATE, type AgentState } from '../core/node/agent-state.ts';
import type { Log } from '../support/log.ts';
import { CheckedFile } from './checked-file.ts';

const VERSION = 1;

/** The agent's state in `state.json` of a folder of its own: written whole, by rename, so that it is old or new, never half. */
export class StateFile {
  readonly #file: CheckedFile<AgentState>;
  readonly #log: Log;
  #problem: string | null = null;

  constructor(folder: string, log: Log) {
    this.#file = new CheckedFile(join(folder, 'state.json'), VERSION, (content) => agentState.parse(content));
    this.#log = log;
  }

  /** Why the disk does not hold the state, or held a damaged one until lately; null when all is well. */
  get problem(): string | null {
    return this.#problem;
  }

  /** Never throws: a damaged file is set aside under another name and said so, and the state counts as empty. */
  read(): AgentState {
    try {
      const { value, damage } = this.#file.read();
      if (damage !== undefined) this.#complain(`what this node ran last was damaged and is not trusted: ${damage}`);
      return value ?? EMPTY_STATE;
    } catch (error) {
      this.#complain(`what this node ran last cannot be read: ${(error as Error).message}; check --state-dir`);
      return EMPTY_STATE;
    }
  }

  /** Throws when the disk refuses; the state before is then still there. */
  write(state: AgentState): void {
    try {
      this.#file.write(state);
      this.#problem = null;
    } catch (error) {
      this.#problem = `what this node runs cannot be saved: ${(error as Error).message}; check --state-dir`;
      throw error;
    }
  }

  remove(): void {
    this.#file.remove();
    this.#problem = null;
  }

  #complain(problem: string): void {
    this.#problem = problem;
    this.#log.error({ path: this.#file.path, problem }, 'the saved state cannot be used');
  }
}
