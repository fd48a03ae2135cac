import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { HostFacts } from '../../../src/controller/requests/facts.ts';
import { modeOf } from '../../../src/controller/requests/maintenance-mode.ts';
import { checkMode } from '../../../src/controller/requests/mode-ask.ts';
import { toGodwitError } from '../../../src/errors.ts';
import {
  requestAsk,
  type FleetRequestAsk,
} from '../../../src/protocol/controller/fleet-request.ts';
import type { MaintenanceMode } from '../../../src/protocol/public/hosts/managed-host.ts';
import { host, world } from './worlds.ts';

const DRS: MaintenanceMode = { moves: 'manager', words: 'DRS of C0', leaves: [] };
const NO_DRS: MaintenanceMode = { moves: 'asker', words: 'DRS of C0 is manual', leaves: [] };

const worldOf = (more: Partial<HostFacts>) =>
  world({ hosts: ['a', 'b', 'c'].map((name) => host(name, more)), guests: [] });
const managed = (maintenanceMode: MaintenanceMode) => worldOf({ realm: 'vc1', maintenanceMode });
const ask = (given: Partial<FleetRequestAsk>): FleetRequestAsk => requestAsk.parse(given);

/** The refusal in words; undefined where there is none. */
function refusal(asked: FleetRequestAsk, now: ReturnType<typeof worldOf>): string | undefined {
  try {
    checkMode(asked, now);
    return undefined;
  } catch (thrown) {
    const { code, message, hint } = toGodwitError(thrown);
    assert.equal(code, 'GODWIT_USAGE');
    return `${message} ${hint}`;
  }
}

test('an evacuation of one host uses the mode of its manager, as its drain does', () => {
  const evacuation = ask({ kind: 'evacuate', hosts: ['a'] });
  const drain = ask({ kind: 'drain', hosts: ['a'] });
  for (const mode of [DRS, NO_DRS]) {
    const now = managed(mode);
    assert.deepEqual(modeOf({ ask: evacuation }, now), modeOf({ ask: drain }, now));
    assert.equal(modeOf({ ask: evacuation }, now)?.host, 'a');
    assert.equal(refusal(evacuation, now), undefined);
  }
});

test('an evacuation of several hosts whose manager moves their guests is refused, and the drain of each is named', () => {
  const several = ask({ kind: 'evacuate', hosts: ['a', 'b'] });
  assert.match(refusal(several, managed(DRS)) ?? '', /DRS of C0 moves the guests of a.*drain a/);
  // Where Godwit moves them, nobody else does.
  assert.equal(refusal(several, managed(NO_DRS)), undefined);
  assert.equal(modeOf({ ask: several }, managed(NO_DRS)), undefined);
});

test("an evacuation by a deadline is Godwit's own, even of one host", () => {
  const sites = { from: 'left', to: 'right' };
  const now = managed(DRS);
  for (const hosts of [['a'], ['a', 'b']]) {
    const asked = ask({ kind: 'evacuate', hosts, sites });
    assert.equal(modeOf({ ask: asked }, now), undefined);
    assert.equal(refusal(asked, now), undefined);
  }
});

test('a roll of a host without its own agent is refused before anything moves', () => {
  const roll = ask({ kind: 'roll', hosts: ['a', 'b'], run: 'upgrade' });
  assert.match(refusal(roll, managed(NO_DRS)) ?? '', /a has no agent of its own.*undrain a/);
  assert.equal(refusal(roll, worldOf({})), undefined);
});

test('an evacuation with a named destination is refused if the manager chooses the destination', () => {
  const elsewhere = ask({ kind: 'evacuate', hosts: ['a'], to: ['b'] });
  assert.match(refusal(elsewhere, managed(DRS)) ?? '', /chooses where to/);
  assert.equal(refusal(elsewhere, managed(NO_DRS)), undefined);
});
