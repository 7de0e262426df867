import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseBindAddress } from '../../../src/controllers/metrics-server.ts';
import { UserError } from '../../../src/support/errors.ts';

describe('a bind address', () => {
  const good: [text: string, host: string, port: number][] = [
    ['127.0.0.1:10247', '127.0.0.1', 10247],
    ['[::1]:80', '::1', 80],
    [':9000', '::', 9000],
    ['localhost:1', 'localhost', 1],
  ];
  for (const [text, host, port] of good) {
    it(`${text} is read`, () => assert.deepEqual(parseBindAddress('--flag', text), { host, port }));
  }
  for (const text of ['10247', '127.0.0.1', '127.0.0.1:99999', '::1:80', '127.0.0.1:http']) {
    it(`${text} is refused, with the flag named`, () => {
      assert.throws(
        () => parseBindAddress('--flag', text),
        (error) => error instanceof UserError && error.exitCode === 2 && error.message.includes(`--flag ${text}`),
      );
    });
  }
});
