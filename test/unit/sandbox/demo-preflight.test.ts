import assert from 'node:assert/strict';
import { afterEach, describe, it, mock } from 'node:test';
import { checkMachine } from '../../../src/sandbox/demo/preflight.ts';
import { UserError } from '../../../src/support/errors.ts';

describe('the demo on a machine that cannot run it', () => {
  const path = process.env['PATH'];
  afterEach(() => {
    mock.restoreAll();
    process.env['PATH'] = path;
  });

  const asUser = (uid: number): unknown =>
    mock.method(process as Required<Pick<NodeJS.Process, 'getuid'>>, 'getuid', () => uid);

  const refusal = (): UserError => {
    try {
      checkMachine();
    } catch (error) {
      assert.ok(error instanceof UserError);
      assert.ok(!error.message.includes('\n'), 'one line');
      return error;
    }
    return assert.fail('it was not refused');
  };

  it('asks for root first', () => {
    asUser(1000);
    assert.match(refusal().message, /root.*run: sudo npm run demo/);
  });

  it('names every missing program and the packages that bring them', () => {
    asUser(0);
    process.env['PATH'] = '/nonexistent';
    assert.match(refusal().message, /needs ip, nft, iptables, .*run: apt-get install -y iproute2 nftables iptables$/);
  });
});
