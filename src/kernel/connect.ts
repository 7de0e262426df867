import { connect } from 'node:net';
import type { ConnectResult } from '../core/diagnose/node-report.ts';

export interface Connected {
  readonly result: ConnectResult;
  /** Why, where it was neither refused nor without an answer. */
  readonly detail?: string;
}

/** Opens a TCP connection from this network namespace and closes it at once, without sending anything. Never throws. */
export function tryToConnect(address: string, port: number, deadlineMs: number): Promise<Connected> {
  return new Promise((resolve) => {
    const socket = connect({ host: address, port });
    const finish = (outcome: Connected): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(outcome);
    };
    const timer = setTimeout(() => finish({ result: 'timeout' }), deadlineMs);
    socket.on('connect', () => finish({ result: 'connected' }));
    socket.on('error', ({ code = '' }: NodeJS.ErrnoException) => {
      if (code === 'ECONNREFUSED') finish({ result: 'refused' });
      else if (code === 'ETIMEDOUT') finish({ result: 'timeout' });
      else finish({ result: 'failed', detail: code });
    });
  });
}
