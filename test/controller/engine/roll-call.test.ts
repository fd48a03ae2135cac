import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RollCalls, RequestView } from '../../../src/controller/engine/ports.ts';
import { RollCall } from '../../../src/controller/engine/roll-call.ts';
import type { StageAnswer } from '../../../src/controller/requests/roll-health.ts';
import { godwitError } from '../../../src/errors.ts';
import { drainOf, world } from '../requests/worlds.ts';

const drain = drainOf('a');
const view: RequestView = {
  request: {
    ...drain,
    ask: { ...drain.ask, kind: 'roll', run: 'patch' },
    roll: { at: 0, stage: 'running', sinceMs: 1, away: [] },
  },
  moves: [],
  cancel: 'no',
  world: world({ hosts: [], guests: [] }),
  admission: 0,
  version: 1,
};
const claim = { request: drain.id, owner: 'one', epoch: 1 };
const ran: StageAnswer = { of: 'program', ok: true, promised: {} };

/** A roll whose claim is renewed as `renewals` say, one by one. */
function calling(renewals: (() => Promise<boolean>)[]) {
  const runs: string[] = [];
  const roll: RollCalls = {
    host: () => assert.fail('no host is asked'),
    program: async ({ id }) => {
      runs.push(id);
      return ran;
    },
  };
  const renew = () => (renewals.shift() ?? assert.fail('its claim is not renewed again'))();
  return { runs, call: new RollCall({ store: { renew }, roll, leaseMs: 1000 }) };
}

/** One round of a carrier, once what it asked was answered. */
async function round(call: RollCall): Promise<StageAnswer | 'pending' | undefined> {
  call.ask(view, claim);
  await new Promise((resolve) => setImmediate(resolve));
  return call.heard(view.request);
}

for (const [what, renew] of [
  [
    'the database fails',
    () => Promise.reject(godwitError('GODWIT_STORE', { where: 'here', what: 'gone' })),
  ],
  ['the claim got another epoch meanwhile', () => Promise.resolve(false)],
] as const) {
  test(`a program that is not run because ${what} has not failed: the next round asks again`, async () => {
    const { runs, call } = calling([renew, () => Promise.resolve(true)]);
    assert.equal(await round(call), undefined);
    assert.deepEqual([runs, call.isPending], [[], false]);
    assert.deepEqual(await round(call), ran);
    assert.equal(runs.length, 1);
    await call.end();
  });
}
