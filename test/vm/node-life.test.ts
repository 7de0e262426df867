import { describe } from 'node:test';
import { testInsideVm } from './inside-tests.ts';

describe('a node, from a bare kernel and back', () => {
  testInsideVm({ name: 'on a real kernel', files: ['node-life.ts'], deadlineMs: 400_000 });
});
