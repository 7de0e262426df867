import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { HeartbeatLedger } from '../../../src/controllers/heartbeat-ledger.ts';

/** A ledger that hears n1 renew every half minute. */
function listening(fromMs: number, untilMs: number, ledger = new HeartbeatLedger()): HeartbeatLedger {
  for (let ms = fromMs; ms <= untilMs; ms += 30_000) ledger.hear('n1', `renewal at ${ms}`, ms);
  return ledger;
}

describe('the ledger of heartbeats', () => {
  it('loses an agent whose Lease has not changed for two minutes, and no other one', () => {
    const ledger = listening(0, 90_000);
    ledger.hear('n2', 'once', 0);
    listening(0, 90_000, ledger);
    assert.deepEqual([...ledger.lost(119_999)], []);
    assert.equal(ledger.nextLossInMs(90_000), 30_000);
    listening(120_000, 120_000, ledger);
    assert.deepEqual([...ledger.lost(120_000)], ['n2']);
    ledger.hear('n2', 'again', 121_000);
    assert.deepEqual([...ledger.lost(121_000)], []);
  });

  it('an event that renews nothing is no sign of life', () => {
    const ledger = listening(0, 90_000);
    ledger.hear('n2', 'once', 0);
    for (let ms = 0; ms <= 120_000; ms += 30_000) ledger.hear('n2', 'once', ms);
    assert.deepEqual([...ledger.lost(120_000)], ['n2']);
  });

  it('counts anew after a server that went on telling took no writes', () => {
    const ledger = listening(0, 30_000);
    for (let ms = 60_000; ms <= 180_000; ms += 30_000) ledger.sign(ms);
    assert.deepEqual([...ledger.lost(180_000)], ['n1']);
    ledger.doubt(180_000);
    ledger.sign(210_000);
    assert.deepEqual([...ledger.lost(210_000)], []);
    for (let ms = 240_000; ms <= 300_000; ms += 30_000) ledger.sign(ms);
    assert.deepEqual([...ledger.lost(300_000)], ['n1']);
  });

  it('counts anew after it was deaf itself', () => {
    const ledger = listening(0, 30_000);
    ledger.hear('n2', 'once', 30_000);
    assert.deepEqual([...ledger.lost(500_000)], []);
    ledger.sign(500_000);
    assert.deepEqual([...ledger.lost(500_000)], []);
    for (let ms = 560_000; ms <= 620_000; ms += 60_000) ledger.sign(ms);
    assert.deepEqual([...ledger.lost(620_000)], ['n1', 'n2']);
  });

  it('forgets nodes that are gone', () => {
    const ledger = new HeartbeatLedger();
    ledger.hear('n1', 'once', 0);
    ledger.forget('n1');
    for (let ms = 60_000; ms <= 180_000; ms += 60_000) ledger.sign(ms);
    assert.deepEqual([...ledger.lost(180_000)], []);
    assert.equal(ledger.nextLossInMs(0), Infinity);
  });
});
