import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { z } from 'zod';
import {
  fleetRequest as requestShape,
  type FleetRequest,
} from '../../src/protocol/controller/fleet-request.ts';
import {
  add,
  close,
  godwit,
  inState,
  open,
  untilSoOrSaid,
  vcenter,
} from './support/vcenter-controller.ts';

const HERE = 'DC0_C0_H0';
const NAME = 'dc0-c0-h0';
const GUESTS = ['DC0_C0_RP0_VM0', 'DC0_C0_RP0_VM1', 'DC0_C0_RP0_VM2'];

const hostState = z.record(z.string(), z.object({ state: z.string(), asked: z.number() }));
const maintenance = async () => hostState.parse(await vcenter.ask({ do: 'maintenance' }));
const stateOf = async (host: string) => (await maintenance())[host];

async function guestsAt(host: string): Promise<string[]> {
  const all = Object.entries(await vcenter.guests());
  return all.filter(([, at]) => at.host === host).map(([name]) => name);
}

/** The controller’s lists are as old as the vCenter’s last report. */
async function placed(): Promise<void> {
  for (const name of Object.keys(await vcenter.guests()))
    await vcenter.ask({ do: 'move', name, value: GUESTS.includes(name) ? HERE : 'DC0_C0_H1' });
  await untilSoOrSaid(async () => {
    const { out } = await godwit('guests', '--json');
    const { guests } = JSON.parse(out) as { guests: { name: string; host: string }[] };
    return guests.filter(({ host }) => host === NAME).length === GUESTS.length;
  });
}

async function drs(value: string, key?: string): Promise<void> {
  await vcenter.ask({ do: 'drs', name: 'DC0_C0', value, ...(key === undefined ? {} : { key }) });
}

const planText = async (): Promise<string> => (await godwit('drain', NAME, '--dry-run')).out;
const untilPlanned = (words: RegExp): Promise<void> =>
  untilSoOrSaid(async () => words.test(await planText()));

async function newestRequest(): Promise<FleetRequest> {
  const { out } = await godwit('requests', '--json');
  const [request] = z.object({ requests: z.array(requestShape) }).parse(JSON.parse(out)).requests;
  return request ?? assert.fail(out);
}

describe('a drain of a host of a vCenter', () => {
  before(async () => {
    await open();
    const added = await add('vc1');
    assert.equal(added.exit, 0, added.out + added.err);
    await inState('vc1', 'up');
  });
  after(close);

  test('a drain under full DRS is maintenance mode: DRS moves the guests, and Godwit plans no move', async () => {
    await placed();
    await drs('fullyAutomated');
    await untilPlanned(/DRS of DC0_C0 moves its guests, and chooses where to/);
    assert.doesNotMatch(await planText(), /planned by Godwit/);
    await vcenter.calls();
    const drained = await godwit('drain', NAME, '--yes');
    assert.equal(drained.exit, 0, drained.out + drained.err);
    assert.match(drained.out, /is in maintenance mode \(DRS of DC0_C0 moves its guests\)/);
    assert.deepEqual(await guestsAt(HERE), []);
    assert.deepEqual(await stateOf(HERE), { state: 'in', asked: 1 });
    const calls = await vcenter.calls();
    assert.equal(calls.filter((each) => each === 'RelocateVM_Task').length, 0, 'no move by Godwit');
    const request = await newestRequest();
    assert.equal(request.maintenanceMode?.moves, 'manager');
    assert.equal(request.moved, 0);
  });

  test("a drain is undone by undrain, which ends the host's maintenance mode", async () => {
    assert.equal((await godwit('undrain', NAME)).exit, 0);
    await untilSoOrSaid(async () => (await stateOf(HERE))?.state === 'out');
    await untilSoOrSaid(async () => !(await planText()).includes('being drained'));
  });

  test('a drain under manual DRS is maintenance mode with the moves planned by Godwit', async () => {
    await placed();
    await drs('manual');
    await untilPlanned(/the moves are planned by Godwit: DRS of DC0_C0 is manual/);
    const drained = await godwit('drain', NAME, '--yes');
    assert.equal(drained.exit, 0, drained.out + drained.err);
    assert.deepEqual(await guestsAt(HERE), []);
    assert.equal((await stateOf(HERE))?.state, 'in');
    const request = await newestRequest();
    assert.deepEqual([request.maintenanceMode?.moves, request.moved], ['godwit', GUESTS.length]);
    assert.equal((await godwit('undrain', NAME)).exit, 0);
    await untilSoOrSaid(async () => (await stateOf(HERE))?.state === 'out');
  });

  test('a drain lets Godwit move the guests that DRS leaves on the host', async () => {
    await placed();
    await drs('fullyAutomated');
    await drs('manual', GUESTS[0]);
    await untilPlanned(/1 move/);
    const drained = await godwit('drain', NAME, '--yes');
    assert.equal(drained.exit, 0, drained.out + drained.err);
    assert.deepEqual(await guestsAt(HERE), []);
    assert.equal((await newestRequest()).moved, 1);
    assert.equal((await godwit('undrain', NAME)).exit, 0);
    await untilSoOrSaid(async () => (await stateOf(HERE))?.state === 'out');
  });

  test("a cancelled drain ends the vCenter's task, and leaves the other guests at their present hosts", async () => {
    await placed();
    // Long enough that it is cancelled under way.
    await vcenter.tasks(60_000);
    await drs('manual');
    await untilPlanned(/planned by Godwit/);
    assert.equal((await godwit('drain', NAME, '--yes', '--detach')).exit, 0);
    await untilSoOrSaid(async () => (await stateOf(HERE))?.state === 'entering');
    assert.equal((await godwit('drain', NAME, '--cancel', '--roll-back')).exit, 0);
    await untilSoOrSaid(async () => (await newestRequest()).phase === 'cancelled');
    assert.equal((await stateOf(HERE))?.state, 'out');
    assert.deepEqual((await guestsAt(HERE)).toSorted(), GUESTS);
    await vcenter.tasks(500);
    assert.equal((await godwit('undrain', NAME)).exit, 0);
  });

  test('a missing permission is named, and no guest that DRS would move is moved', async () => {
    await placed();
    await drs('fullyAutomated');
    await vcenter.ask({ do: 'lack', name: 'Host.Config.Maintenance' });
    await untilPlanned(/DRS of DC0_C0 moves its guests/);
    const drained = await godwit('drain', NAME, '--yes');
    assert.equal(drained.exit, 5, drained.out + drained.err);
    assert.match(drained.out, /Host\.Config\.Maintenance/);
    assert.equal((await stateOf(HERE))?.state, 'out');
    await vcenter.ask({ do: 'lack', name: '' });
    assert.equal((await godwit('undrain', NAME)).exit, 0);
  });

  test('a drain with destinations is refused if DRS chooses them', async () => {
    const refused = await godwit('drain', NAME, '--to', 'dc0-c0-h1', '--dry-run');
    assert.equal(refused.exit, 2, refused.out);
    assert.match(refused.err, /DRS of DC0_C0 moves its guests, and chooses where to/);
  });
});
