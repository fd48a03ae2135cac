import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { godwitError } from '../../../../src/errors.ts';
import { initialSource } from '../../../../src/migration/direct/source/source-state.ts';
import { STEP_NAMES, stepIndex } from '../../../../src/migration/direct/source/steps.ts';
import { planned } from '../../../migration/direct/samples.ts';
import { doing, scene, WELL } from './watch-scene.ts';

describe('a silent destination', () => {
  test('a silent destination is lost after 45 s before the switch', async (t) => {
    const { seen, losses, go } = scene(t, doing('memory'));
    seen.there = 'silent';
    await go(45_500);
    assert.deepEqual(losses(), []);
    await go(1500);
    const [loss] = losses();
    assert.ok(loss?.type === 'destination-lost');
    assert.equal(loss.error.code, 'GODWIT_UNREACHABLE');
    assert.match(loss.error.message, /nothing came over the link for 45/);
  });

  test('a silent destination is not lost at the switch or after it, since it may run the guest', async (t) => {
    const { seen, losses, counts, go } = scene(t, doing('switchover'));
    seen.there = 'silent';
    await go(60_000);
    seen.state = { ...seen.state, doing: { kind: 'do', step: 'drain' } };
    await go(60_000);
    assert.deepEqual(losses(), []);
    assert.ok(counts.asked > 1);
  });

  test("a silent destination gets the wire's grace period if that is longer", async (t) => {
    const state = doing('memory');
    const { plan } = initialSource(planned({ linkGraceMs: 120_000 })).state;
    const { seen, losses, go } = scene(t, { ...state, plan });
    seen.wire = { isOpen: true, isCut: true, hasLink: false };
    seen.there = 'silent';
    await go(120_500);
    assert.deepEqual(losses(), []);
    await go(1500);
    assert.equal(losses().length, 1);
  });

  test('a silent destination is not lost while it is heard over the wire', async (t) => {
    const { seen, losses, go } = scene(t, doing('memory'));
    seen.wire = { isOpen: true, isCut: false, hasLink: true };
    seen.there = 'silent';
    await go(200_000);
    assert.deepEqual(losses(), []);
  });

  test('the silence of a destination restarts if it answers in between', async (t) => {
    const { seen, losses, go } = scene(t, doing('memory'));
    for (let round = 0; round < 3; round += 1) {
      seen.there = 'silent';
      await go(30_000);
      seen.there = WELL;
      await go(20_000);
    }
    assert.deepEqual(losses(), []);
  });
});

test('the silence of a lost destination is counted from its last answer', async (t) => {
  const { seen, losses, go } = scene(t, doing('memory'));
  seen.wire = { isOpen: true, isCut: false, hasLink: true };
  seen.there = 'silent';
  await go(100_000);
  seen.wire = { isOpen: false, isCut: false, hasLink: false };
  seen.there = WELL;
  await go(60_000);
  seen.there = 'silent';
  await go(50_000);
  const [loss] = losses();
  assert.ok(loss?.type === 'destination-lost');
  assert.match(loss.error.message, /for 45\.\d s/);
});

describe('a destination that answers', () => {
  test('a destination is polled each second from its preparation until all memory has arrived', async (t) => {
    for (const step of STEP_NAMES) {
      await t.test(step, async (inner) => {
        const { counts, go } = scene(inner, doing(step));
        await go(5000);
        const at = stepIndex(step);
        const isAsked = step === 'seed' || (at > stepIndex('prepare') && at <= stepIndex('drain'));
        assert.equal(counts.asked, isAsked ? 5 : 0);
      });
    }
  });

  test('a destination is not polled before it has given its memory address, except for backing files', async (t) => {
    for (const step of ['seed', 'configure', 'memory'] as const) {
      await t.test(step, async (inner) => {
        const { counts, go } = scene(inner, { ...doing(step), known: {} });
        await go(5000);
        assert.equal(counts.asked > 0, step === 'seed');
      });
    }
  });

  test('a destination is lost when it reports that itself, in its words', async (t) => {
    const error = godwitError('GODWIT_MACHINE_TYPE', {
      machine: 'x',
      host: 'b',
      version: '9.2',
    }).toJSON();
    const cases = [
      [{ hypervisor: 'gone' }, 'GODWIT_HYPERVISOR_LOST'],
      [{ state: 'refused' }, 'GODWIT_DESTINATION_FAILED'],
      [{ state: 'released' }, 'GODWIT_DESTINATION_FAILED'],
      [{ state: 'refused', error }, 'GODWIT_MACHINE_TYPE'],
    ] as const;
    for (const [status, code] of cases) {
      await t.test(JSON.stringify(status), async (inner) => {
        const { seen, losses, go } = scene(inner, doing('memory'));
        await go(3000);
        assert.deepEqual(losses(), []);
        seen.there = { ...WELL, ...status };
        await go(1100);
        const [loss] = losses();
        assert.ok(loss?.type === 'destination-lost');
        assert.equal(loss.error.code, code);
      });
    }
  });
});
