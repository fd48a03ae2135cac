import assert from 'node:assert/strict';
import { test } from 'node:test';
import { explore, walk } from './explore.ts';
import { MUTANTS, SCENES } from './scenes.ts';

// The whole of it is `node tools/claims.ts`; here its nearest states and its mutants.
for (const { name, bounds } of SCENES) {
  test(`no interleaving of two controllers breaks a rule: ${name}`, async () => {
    const found = await explore(bounds, { mostStates: 700, fairEach: 20 });
    assert.equal(found.broken, undefined);
    assert.ok(found.states === 700 || found.isExhaustive);
  });
}

test('random walks with more faults break no rule either', async () => {
  const found = await walk({ guests: 2, faults: 4, cancel: 'let-run' }, { walks: 100, seed: 7 });
  assert.equal(found.broken, undefined);
});

for (const { flaw, bounds } of MUTANTS) {
  test(`the exploration finds a ${flaw}`, async () => {
    for (const seed of [1, 2, 3]) {
      const { broken } = await walk(bounds, { walks: 2000, seed, flaws: [flaw] });
      if (broken !== undefined) return;
    }
    assert.fail('6000 walks break no rule');
  });
}
