import { createHash } from 'node:crypto';
import { readFileSync, renameSync, rmSync } from 'node:fs';
import { mkdir, open, rename, rm, type FileHandle } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { NodeNetwork } from '../../core/service/dataplane-options.ts';
import type { Protocol, ServicePort, ServicePorts } from '../../core/service/snapshot.ts';
import type { Taken } from '../../core/service/service-table.ts';
import type { Clock } from '../../support/clock.ts';
import type { Log } from '../../support/log.ts';
import type { FollowObserver } from './follow-observer.ts';

/** Counts up with every change of `ServicePort`: an older file is not understood then, and not used. */
const VERSION = 1;
const FIRST_WRITE_MS = 2_000;
const INTERVAL_MS = 30_000;
/** So few are turned into text at a time that no change of Services waits for it noticeably. */
const CHUNK = 100;

export type CachedNetwork = Pick<NodeNetwork, 'podCIDRs' | 'primaryAddresses' | 'serviceCIDRs'>;

export interface CachedServices {
  readonly servicePorts: ServicePorts;
  readonly network: CachedNetwork;
}

export interface ServiceCacheParts {
  readonly stateDir: string;
  readonly network: () => CachedNetwork;
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
  /** `problem` has changed. */
  readonly onProblem?: () => void;
}

/**
 * The Services that the kernel was last told of, on disk: for an agent that starts while the API server is away. Written
 * seldom, beside everything else, and whole; the last line has a checksum of the others.
 */
export class ServiceCache implements FollowObserver {
  readonly #parts: ServiceCacheParts;
  readonly #path: string;
  #servicePorts: ServicePorts = new Map();
  /** Of the file as this process wrote it; empty where it has not. */
  #writtenHeader = '';
  #isDirty = false;
  #hasWritten = false;
  #isWaiting = false;
  #writing: Promise<void> = Promise.resolve();
  #problem: string | null = null;

  constructor(parts: ServiceCacheParts) {
    this.#parts = parts;
    this.#path = join(parts.stateDir, 'services.ndjson');
  }

  /** Why a start without the API server would serve nothing, or less than is known; null when all is well. */
  get problem(): string | null {
    return this.#problem;
  }

  taken({ changes }: Taken): void {
    if (changes.length > 0) this.#isDirty = true;
  }

  programmed(servicePorts: ServicePorts): void {
    this.#servicePorts = servicePorts;
    if (this.#writtenHeader !== '' && this.#writtenHeader !== this.#header()) this.#isDirty = true;
    if (this.#isDirty) void this.#writeLater();
  }

  /** Writes what is not on disk yet; for the end of the process. */
  async flush(): Promise<void> {
    await this.#writing;
    if (this.#isDirty) await this.#write();
  }

  /** The ServicePorts of these protocols that were written last; none when they cannot be read, which is `read`'s to say. */
  recall(protocols: readonly Protocol[]): readonly ServicePort[] {
    try {
      const isWanted = (line: string) => protocols.some((protocol) => line.includes(`"protocol":"${protocol}"`));
      return [...decode(readFileSync(this.#path, 'utf8'), isWanted).servicePorts.values()];
    } catch {
      return [];
    }
  }

  /** What was written last; undefined when there is nothing or it is damaged, in which case it is set aside and said. */
  read(): CachedServices | undefined {
    let text: string;
    try {
      text = readFileSync(this.#path, 'utf8');
    } catch {
      return undefined;
    }
    try {
      return decode(text);
    } catch (error) {
      const aside = `${this.#path}.damaged`;
      renameSync(this.#path, aside);
      const fields = { path: this.#path, setAsideAs: aside, problem: (error as Error).message };
      this.#parts.log.error(fields, 'the saved Services are damaged and were set aside');
      this.#say(`the saved Services were damaged and are not served: ${fields.problem}; set aside as ${aside}`);
      return undefined;
    }
  }

  remove(): void {
    this.#isDirty = false;
    this.#say(null);
    for (const suffix of ['', '.new', '.damaged']) rmSync(this.#path + suffix, { force: true });
  }

  async #writeLater(): Promise<void> {
    const { clock, signal } = this.#parts;
    if (this.#isWaiting) return;
    this.#isWaiting = true;
    await clock.sleep(this.#hasWritten ? INTERVAL_MS : FIRST_WRITE_MS, signal);
    this.#isWaiting = false;
    if (!signal.aborted && this.#isDirty) await this.#write();
  }

  #write(): Promise<void> {
    this.#isDirty = false;
    this.#hasWritten = true;
    this.#writing = this.#writing.then(() => this.#writeNow());
    return this.#writing;
  }

  async #writeNow(): Promise<void> {
    const temporary = `${this.#path}.new`;
    try {
      await mkdir(dirname(this.#path), { recursive: true, mode: 0o700 });
      const file = await open(temporary, 'w', 0o600);
      try {
        await this.#writeLines(file);
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(temporary, this.#path);
      await syncFolder(dirname(this.#path));
      this.#say(null);
    } catch (error) {
      this.#isDirty = true;
      await rm(temporary, { force: true }).catch(() => undefined);
      const fields = { path: this.#path, problem: (error as Error).message };
      this.#parts.log.warn(fields, 'cannot save the Services for a start without the API server');
      this.#say(
        `the Services cannot be saved for a start without the API server: ${fields.problem}; check --state-dir`,
      );
      void this.#writeLater();
    }
  }

  /** The first line of the file: what the rules depend on beside the Services. */
  #header(): string {
    const { podCIDRs, primaryAddresses, serviceCIDRs } = this.#parts.network();
    return JSON.stringify({ version: VERSION, network: { podCIDRs, primaryAddresses, serviceCIDRs } });
  }

  #say(problem: string | null): void {
    if (problem === this.#problem) return;
    this.#problem = problem;
    this.#parts.onProblem?.();
  }

  async #writeLines(file: FileHandle): Promise<void> {
    const hash = createHash('sha256');
    const put = async (lines: readonly string[]) => {
      const text = lines.map((line) => `${line}\n`).join('');
      hash.update(text);
      await file.write(text);
    };
    this.#writtenHeader = this.#header();
    await put([this.#writtenHeader]);
    let chunk: string[] = [];
    for (const servicePort of this.#servicePorts.values()) {
      chunk.push(JSON.stringify(servicePort));
      if (chunk.length < CHUNK) continue;
      await put(chunk);
      chunk = [];
    }
    await put(chunk);
    await file.write(`${JSON.stringify({ sha256: hash.digest('hex') })}\n`);
  }
}

/** The rename itself is on disk only with its folder. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

function decode(text: string, isWanted: (line: string) => boolean = () => true): CachedServices {
  const end = text.lastIndexOf('\n', text.length - 2) + 1;
  const { sha256 } = JSON.parse(text.slice(end)) as { sha256?: unknown };
  if (createHash('sha256').update(text.slice(0, end)).digest('hex') !== sha256) {
    throw new Error('the checksum does not fit');
  }
  const [header = '', ...lines] = text.slice(0, end).split('\n');
  const { version, network } = JSON.parse(header) as { version?: unknown; network: CachedNetwork };
  if (version !== VERSION) throw new Error(`version ${String(version)} is not known`);
  const ports = lines.filter((line) => line !== '' && isWanted(line)).map((line) => JSON.parse(line) as ServicePort);
  return { network, servicePorts: new Map(ports.map((port) => [port.key, port])) };
}
