import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { RulesLook } from '../../../src/kernel/iptables/look.ts';
import { NOTHING_SAVED, type Saved } from '../../../src/plan/iptables/saved.ts';

const WHOLE: Saved = { ...NOTHING_SAVED, chains: new Map([['nat SWITCHYARD-SERVICES', ['-j RETURN']]]) };

/** A kernel whose rules others change, and how often it was compared with what was written. */
class Ground {
  rules = WHOLE;
  compared = 0;
  onSave: () => void = () => undefined;

  save(): Promise<Saved> {
    this.onSave();
    return Promise.resolve(this.rules);
  }

  isWhole(): boolean {
    this.compared += 1;
    return this.rules === WHOLE;
  }
}

describe('a look at rules of whose changes nobody tells', () => {
  it('compares once after a write, and as text from then on', async () => {
    const [look, ground] = [new RulesLook(), new Ground()];
    look.begin()();
    assert.equal(await look.isIntact(ground), true);
    assert.equal(await look.isIntact(ground), true);
    assert.equal(ground.compared, 1);
    look.begin()();
    assert.equal(await look.isIntact(ground), true);
    assert.equal(ground.compared, 2);
  });

  it('notices what was changed before the first look, and after it, until it is whole again', async () => {
    const [look, ground] = [new RulesLook(), new Ground()];
    look.begin()();
    for (let round = 0; round < 2; round += 1) {
      ground.rules = NOTHING_SAVED;
      assert.equal(await look.isIntact(ground), false);
      assert.equal(await look.isIntact(ground), false);
      ground.rules = WHOLE;
      assert.equal(await look.isIntact(ground), true);
    }
  });

  it('says nothing about rules that are being written', async () => {
    const [look, ground] = [new RulesLook(), new Ground()];
    ground.rules = NOTHING_SAVED;
    const end = look.begin();
    assert.equal(await look.isIntact(ground), true);
    end();
    assert.equal(await look.isIntact(ground), false);
  });

  it('says nothing where they were written while it looked', async () => {
    const [look, ground] = [new RulesLook(), new Ground()];
    look.begin()();
    ground.rules = NOTHING_SAVED;
    ground.onSave = () => look.begin()();
    assert.equal(await look.isIntact(ground), true);
    ground.onSave = () => undefined;
    assert.equal(await look.isIntact(ground), false);
  });

  it('is worth it once a glance finds that rules came or went since the last write or look', async () => {
    let sizes: string | undefined = 'one rule';
    const [look, ground] = [new RulesLook(() => sizes), new Ground()];
    const end = look.begin();
    sizes = 'two rules';
    assert.equal(look.glance(), true, 'while they are written');
    end();
    assert.equal(look.glance(), true, 'after our own write');
    sizes = 'three rules';
    assert.equal(look.glance(), false, 'after somebody else came');
    await look.isIntact(ground);
    assert.equal(look.glance(), true, 'after a look');
    sizes = 'four rules';
    ground.onSave = () => (sizes = 'five rules');
    await look.isIntact(ground);
    assert.equal(look.glance(), false, 'after what came during the look');
    sizes = undefined;
    look.begin()();
    assert.equal(look.glance(), true, 'where nothing can be said');
  });
});
