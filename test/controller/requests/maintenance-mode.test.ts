import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { godwitError } from '../../../src/errors.ts';
import type { GuestFacts } from '../../../src/controller/requests/facts.ts';
import {
  forbiddenBy,
  modeCallOf,
  modeOf,
  MAX_ASKED,
  type ModeHeard,
} from '../../../src/controller/requests/maintenance-mode.ts';
import { previewOf, storedWorld } from '../../../src/controller/requests/preview.ts';
import type { Cancel } from '../../../src/controller/requests/moves.ts';
import {
  isRequestEnd,
  fleetRequest as requestShape,
  type FleetRequestAsk,
} from '../../../src/protocol/controller/fleet-request.ts';
import type { MaintenanceMode } from '../../../src/protocol/public/hosts/managed-host.ts';
import { asked, DRS, hostsWith, NO_DRS, sight, stepOf, two } from './mode-worlds.ts';
import { drainOf, guest, host, NOW, world } from './worlds.ts';

const previewed = (
  ask: Partial<FleetRequestAsk>,
  mode: MaintenanceMode,
  guests: readonly GuestFacts[],
) => {
  const request = drainOf('a', ask);
  return previewOf(request, storedWorld(request, world({ hosts: hostsWith(mode), guests })));
};

describe('dry runs of a drain', () => {
  test('the plan has no move if the manager moves the guests, and names the manager', () => {
    const plan = previewed({}, DRS, two);
    assert.deepEqual(plan.steps, []);
    assert.deepEqual(plan.maintenanceMode, { host: 'a', moves: 'manager', words: 'DRS of C0' });
    assert.deepEqual(
      plan.waiting.map(({ waitsFor }) => waitsFor),
      ['manager', 'manager'],
    );
  });

  test('the plan has the moves of guests that the manager leaves, and no others', () => {
    const plan = previewed({}, { ...DRS, leaves: ['g2'] }, two);
    assert.deepEqual(
      plan.steps.map((each) => each.guest),
      ['g2'],
    );
  });

  test('the plan has all moves if the manager moves none, and reports that', () => {
    const plan = previewed({}, NO_DRS, two);
    assert.deepEqual(plan.steps.map((each) => each.guest).toSorted(), ['g1', 'g2']);
    assert.equal(plan.maintenanceMode?.moves, 'godwit');
  });

  test('the plan leaves guests that are off on the host, unless they must leave too', () => {
    const off = guest('g1', 'a', { at: [{ host: 'a', state: 'stopped' }] });
    assert.equal(previewed({}, DRS, [off]).stays.length, 1);
    assert.equal(previewed({ stopped: true }, DRS, [off]).waiting[0]?.waitsFor, 'manager');
  });
});

describe('drains under a manager', () => {
  test('a drain asks the manager at once, and is done only once the host is in the mode', () => {
    let { request } = stepOf(drainOf('a'), { guests: two });
    assert.equal(modeCallOf(request.maintenanceMode, 'no', NOW), 'look');
    ({ request } = stepOf(request, { guests: two, heard: sight('out') }));
    assert.equal(modeCallOf(request.maintenanceMode, 'no', NOW), 'enter');
    ({ request } = stepOf(request, { guests: two, heard: sight('entering') }));
    assert.equal(modeCallOf(request.maintenanceMode, 'no', NOW), 'look');
    assert.match(request.words, /DRS of C0 moves its guests/);
    ({ request } = stepOf(request, { guests: [], heard: sight('entering') }));
    assert.equal(request.phase, 'working', 'it is empty, and guests may come still');
    ({ request } = stepOf(request, { guests: [], heard: sight('in') }));
    assert.equal(request.phase, 'done');
    assert.match(request.words, /a is in maintenance mode/);
  });

  test('a drain begins its own moves next to the mode if the manager moves none', () => {
    const { moves, request } = stepOf(drainOf('a'), { mode: NO_DRS, guests: two });
    assert.equal(moves.length, 2);
    assert.match(request.words, /Godwit plans the moves: DRS of C0 is manual/);
  });

  test('a drain begins no move while the manager moves the guests, whatever the manager answers', () => {
    const all: readonly ModeHeard[] = [
      sight('out'),
      sight('entering'),
      sight('in'),
      sight('leaving'),
      { of: 'silent' },
      { of: 'refused', error: godwitError('GODWIT_INTERNAL', { what: 'x' }).toJSON() },
    ];
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...all), { maxLength: 8 }), (answers) => {
        let request = drainOf('a');
        for (const [round, heard] of answers.entries()) {
          const output = stepOf(request, { guests: two, heard, nowMs: NOW + round * 60_000 });
          assert.deepEqual(output.moves, []);
          assert.doesNotThrow(() => requestShape.parse(output.request));
          assert.notEqual(output.request.phase, 'done');
          ({ request } = output);
        }
      }),
    );
  });

  test('a drain without a permission names it, leaves the guests and asks no more', () => {
    const error = godwitError('GODWIT_MANAGER_DENIED', {
      manager: 'vSphere',
      address: 'its vCenter',
      what: 'a call that needs the right Host.Config.Maintenance',
      reason: 'x',
    }).toJSON();
    const first = asked();
    const { request } = stepOf(first, { guests: two, heard: { of: 'refused', error } });
    assert.equal(request.phase, 'left');
    assert.equal(request.stays.length, 2);
    assert.match(request.words, /a is not in maintenance mode: .*Host\.Config\.Maintenance/);
    assert.equal(modeCallOf(request.maintenanceMode, 'no', NOW), 'nothing');
  });

  test("a drain tries again after a failure, with pauses and a limit; a person's cancel at the manager ends it", () => {
    let request = asked();
    for (let at = 1; at <= MAX_ASKED; at += 1) {
      const nowMs = NOW + at * 60_000;
      request = stepOf(request, { guests: two, heard: sight('entering'), nowMs }).request;
      const failed = { reason: 'Operation timed out.', cancelled: false };
      request = stepOf(request, { guests: two, heard: sight('out', { failed }), nowMs }).request;
      const isLast = at === MAX_ASKED;
      assert.equal(modeCallOf(request.maintenanceMode, 'no', nowMs), 'nothing');
      assert.equal(
        modeCallOf(request.maintenanceMode, 'no', nowMs + 30_000),
        isLast ? 'nothing' : 'look',
      );
      request = stepOf(request, {
        guests: two,
        heard: sight('out'),
        nowMs: nowMs + 30_000,
      }).request;
    }
    assert.equal(request.phase, 'left');
    const begun = stepOf(asked(), { guests: two, heard: sight('entering') }).request;
    const failed = { reason: 'RequestCanceled', cancelled: true };
    const ended = stepOf(begun, { guests: two, heard: sight('out', { failed }) }).request;
    assert.equal(ended.phase, 'left');
    assert.match(ended.words, /somebody cancelled it/);
  });

  test('a drain ends with the remaining guests if a running guest keeps the host from the mode', () => {
    const stuck = guest('g1', 'a', { unmovable: ['a device of the host'] });
    const begun = stepOf(drainOf('a'), { mode: NO_DRS, guests: [stuck], heard: sight('entering') });
    assert.equal(begun.request.phase, 'left');
    assert.match(begun.request.words, /a enters maintenance mode/);
    const off = guest('g1', 'a', { at: [{ host: 'a', state: 'stopped' }] });
    const { request } = stepOf(drainOf('a'), {
      mode: NO_DRS,
      guests: [off],
      heard: sight('entering'),
    });
    assert.equal(request.phase, 'working', 'a guest that is off keeps no host from it');
  });

  test('a drain never ends before its mode is settled, whatever is reported and wherever guests are', () => {
    const states = fc.constantFrom('out', 'entering', 'in', 'leaving' as const);
    const heard = fc.oneof(
      states.map((each) => sight(each)),
      fc.constant<ModeHeard>({ of: 'silent' }),
    );
    const rounds = fc.array(
      fc.record({
        heard,
        at: fc.constantFrom('a', 'b'),
        cancel: fc.constantFrom<Cancel>('no', 'no', 'let-run'),
      }),
      { minLength: 1, maxLength: 10 },
    );
    fc.assert(
      fc.property(rounds, fc.constantFrom(DRS, NO_DRS), (all, mode) => {
        let request = drainOf('a');
        for (const [round, each] of all.entries()) {
          const nowMs = NOW + round * 60_000;
          ({ request } = stepOf(request, { mode, guests: [guest('g1', each.at)], ...each, nowMs }));
          const phase = request.maintenanceMode?.phase;
          if (request.phase === 'done') assert.equal(phase, 'in');
          if (request.phase === 'cancelled') assert.ok(phase === 'out' || phase === undefined);
          if (isRequestEnd(request.phase)) break;
        }
      }),
    );
  });
});

test('a drain of a host without such a mode uses none, and a roll requests none', () => {
  const now = world({ hosts: [host('a')], guests: [] });
  assert.equal(modeOf(drainOf('a'), now), undefined);
  const with_ = world({ hosts: hostsWith(DRS), guests: [] });
  assert.equal(modeOf(drainOf('a', { kind: 'roll', run: 'upgrade' }), with_), undefined);
  assert.equal(modeOf(drainOf('a'), with_)?.moves, 'manager');
});

test('a drain finds a guest that a label keeps in place before the manager could move it', () => {
  const labels = { g1: { 'godwit/never-move': 'true' } };
  const now = (mode: MaintenanceMode) => world({ hosts: hostsWith(mode), guests: two, labels });
  assert.equal(forbiddenBy(drainOf('a'), now(DRS)), 'g1');
  assert.equal(forbiddenBy(drainOf('a'), now(NO_DRS)), undefined);
  assert.equal(forbiddenBy(drainOf('a'), now({ ...DRS, leaves: ['g1'] })), undefined);
});
