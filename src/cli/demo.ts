import { listenTcpIn } from '../kernel/netns.ts';
import { runDemo as performDemo } from '../sandbox/demo/demo.ts';

/** As a shell reports a program that a signal ended: 128 and the signal's number. */
const EXIT_CODES = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;
type EndingSignal = keyof typeof EXIT_CODES;
const SIGNALS = Object.keys(EXIT_CODES) as EndingSignal[];

export interface DemoFlags {
  /** End after the story, with one JSON object as the last line of output. */
  readonly exit?: boolean;
}

/**
 * The `demo` subcommand. Sets the process's exit code: 0 when the demo kept its promise, 1 when not, as for the signal
 * when one ended it before its summary. Throws `UserError` when it cannot run here.
 */
export async function runDemo(flags: DemoFlags): Promise<void> {
  const ending = new AbortController();
  let endedBy: EndingSignal | undefined;
  const handlers = SIGNALS.map((signal) => {
    const handler = (): void => {
      // The second one does not wait for an orderly end: the namespaces and what runs in them go with this process.
      if (ending.signal.aborted) process.exit(EXIT_CODES[signal]);
      endedBy = signal;
      ending.abort();
    };
    process.on(signal, handler);
    return () => process.off(signal, handler);
  });
  try {
    const isKept = await performDemo({
      exit: flags.exit === true,
      output: process.stdout,
      listenIn: listenTcpIn,
      signal: ending.signal,
    });
    process.exitCode = isKept ? 0 : 1;
  } catch (error) {
    if (endedBy === undefined) throw error;
    process.exitCode = EXIT_CODES[endedBy];
  } finally {
    for (const release of handlers) release();
  }
}
