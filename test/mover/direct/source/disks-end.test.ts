import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import type { DiskSample } from '../../../../src/port/disks.ts';
import { hasCode } from '../../../../src/errors.ts';
import { turn } from './answers.ts';
import {
  BROKEN,
  OPENED,
  READY,
  lost,
  disk,
  settings,
  signal,
  stage,
  starts,
} from './disk-stage.ts';

const WHOLE = disk({ state: 'whole' });
/** What the hypervisor is asked for while the switch is held, and once it is free. */
const HELD = '{"precopyBandwidth":65536,"maxDowntimeMs":1}';
const FREE = '{"maxBandwidth":0,"maxDowntimeMs":100}';

describe('synchronized copies', () => {
  test('synchronized copies stay so while memory moves, with writes to both after the first round', async (t) => {
    const at = (look: number): DiskSample => {
      if (look === 2) state['sample'] = { round: 2 };
      if (look === 4) state['doing'] = { kind: 'do', step: 'switchover' };
      return look === 1 ? BROKEN : READY;
    };
    const { disks, done, state } = stage(t, { settings, at });
    await disks.keep(signal);
    assert.deepEqual(done, [...OPENED, 'slow']);
  });

  test('synchronized copies delay the switch while one is broken, has no path, or has no link', async (t) => {
    const at = (look: number): DiskSample => {
      const tunnel = tunnels.at(-1);
      if (look === 5) tunnel?.abort(new Error('the session is over'));
      if (look === 8 && tunnel !== undefined) tunnel.measure.cutForMs = 1;
      if (look === 9 && tunnel !== undefined) tunnel.measure.cutForMs = undefined;
      if (look === 11) state['doing'] = { kind: 'do', step: 'switchover' };
      seen.push(`${look}: ${disks.holdsSwitch}`);
      return look === 3 ? BROKEN : READY;
    };
    const seen: string[] = [];
    const { disks, state, tunnels, adjusted } = stage(t, { settings, at });
    state['doing'] = { kind: 'do', step: 'mirror' };
    await disks.copy(signal);
    assert.deepEqual(adjusted, []);
    state['doing'] = { kind: 'do', step: 'memory' };
    await disks.keep(signal);
    assert.deepEqual(adjusted, [HELD, FREE, HELD, FREE, HELD, FREE]);
    const whileHeld = seen.filter((each) => each.endsWith('true'));
    assert.deepEqual(whileHeld, ['4: true', '6: true', '9: true']);
  });

  test('synchronized copies delay the switch of a mover that took over until they have a path again', async (t) => {
    const at = (look: number): DiskSample => {
      if (look === 4) state['doing'] = { kind: 'do', step: 'switchover' };
      return look === 1 ? BROKEN : READY;
    };
    const given = { settings, at, tookOver: true };
    const { disks, state, adjusted, done } = stage(t, given);
    await disks.keep(signal);
    assert.deepEqual(adjusted, [HELD, FREE]);
    assert.deepEqual(done, OPENED);
  });

  test('the time limit for broken copies restarts after minutes without a break, even if nothing was written', async (t) => {
    const breaks = new Set([1, 1000, 2000]);
    const at = (look: number): DiskSample => {
      if (look > 2000) state['doing'] = { kind: 'do', step: 'switchover' };
      return breaks.has(look) ? { ...READY, state: 'broken' } : READY;
    };
    const { disks, done, state } = stage(t, { settings, at });
    await disks.keep(signal);
    assert.equal(starts(done), breaks.size);
  });

  test('the time limit for broken copies restarts exactly if everything was sent in between', async (t) => {
    const breaks = 40;
    const between = (leftBytes: number) => {
      const at = (look: number): DiskSample => {
        if (look === 2 * breaks) state['doing'] = { kind: 'do', step: 'switchover' };
        const copiedBytes = READY.totalBytes - leftBytes;
        return { ...READY, copiedBytes, state: look % 2 === 1 ? 'broken' : 'ready' };
      };
      const { disks, done, state } = stage(t, { settings, at });
      return { kept: disks.keep(signal), done };
    };
    const { kept, done } = between(0);
    await kept;
    assert.equal(starts(done), breaks);
    t.mock.reset();
    await assert.rejects(between(1).kept, (thrown) => hasCode(thrown, 'GODWIT_DISK_FAILED'));
  });

  test('synchronized copies stay until a cold guest is paused, and not while a step is undone', async (t) => {
    let looks = 0;
    const at = (look: number): DiskSample => {
      looks = look;
      if (look === 3) state['stopped'] = true;
      return READY;
    };
    const doing = { kind: 'do', step: 'switchover' };
    const cold = { ...settings, mode: 'cold' as const };
    const { disks, state } = stage(t, { settings: cold, at, doing });
    await disks.keep(signal);
    assert.equal(looks, 3);
    t.mock.reset();
    const undone = stage(t, { settings, doing: { kind: 'undo', step: 'memory' } });
    await undone.disks.keep(signal);
    assert.deepEqual(undone.done, []);
  });

  test('a guest without copies has no end of copies', async (t) => {
    const { disks, done, events } = stage(t, { nodes: [] });
    await disks.keep(signal);
    await disks.finish(signal);
    await disks.drop(signal);
    assert.deepEqual([done, events, disks.isFinishing], [[], [], false]);
  });
});

describe('the end of copies', () => {
  test('the end of copies is requested here, then there, over the present path, whose end is expected', async (t) => {
    const { disks, done, events, tunnels } = stage(t, { settings });
    await disks.copy(signal);
    await disks.finish(signal);
    await disks.closedThere(signal);
    await turn();
    assert.deepEqual(done, [...OPENED, 'finish', 'end there']);
    assert.equal(tunnels[0]?.aborted, 'the copies are whole');
    const links = events.filter(({ type }) => type === 'disk-link');
    assert.deepEqual(
      links.map((each) => 'why' in each),
      [false],
    );
    assert.deepEqual([disks.isFinishing, disks.isOpen], [true, false]);
  });

  test('the end of copies needs a new path after a takeover, unless the copies are complete', async (t) => {
    const taken = stage(t, { settings, at: () => READY });
    await taken.disks.finish(signal);
    assert.deepEqual(taken.done.slice(0, 5), [...OPENED, 'finish']);
    t.mock.reset();
    const whole = stage(t, { settings, at: () => WHOLE });
    await whole.disks.finish(signal);
    assert.deepEqual(
      whole.done.filter((each) => each !== 'end there'),
      ['finish'],
    );
  });

  test('the end of copies stops the path first if the copying is given up, since a waiting sender cannot react', async (t) => {
    const { disks, done, types, tunnels, socket } = stage(t, { settings });
    await disks.copy(signal);
    writeFileSync(socket, '');
    const drop = disks.drop(signal);
    assert.equal(tunnels[0]?.aborted, 'the copying is undone');
    assert.deepEqual(done, OPENED);
    await drop;
    assert.deepEqual(done, [...OPENED, 'drop']);
    await turn();
    assert.deepEqual(
      [types().filter((type) => type === 'disk-link').length, existsSync(socket)],
      [1, false],
    );
    await disks.drop(signal);
  });

  test('copies that ended with the hypervisor need no end of copies', async (t) => {
    for (const given of [{ session: lost }, { run: 'gone' }]) {
      const { disks, done, socket } = stage(t, given);
      writeFileSync(socket, '');
      await disks.drop(signal);
      assert.deepEqual([done, existsSync(socket)], [[], false]);
      t.mock.reset();
    }
  });
});

describe('the path of the disks', () => {
  test("the disks' path is rebuilt at once if another mover works at the destination", async (t) => {
    const at = (look: number): DiskSample => {
      if (look === 1) disks.mind('b:7');
      if (look === 2) disks.mind('b:8');
      return look < 4 ? disk() : READY;
    };
    const { disks, done, events, tunnels } = stage(t, { settings, at });
    disks.mind('b:6');
    await disks.copy(signal);
    assert.equal(starts(done), 2);
    assert.equal(tunnels[0]?.aborted, 'another mover works at the destination');
    const why = events.flatMap((event) => (event.type === 'disk-link' ? [event.why] : []));
    assert.deepEqual(why, ['another mover works at the destination']);
  });

  test("the disks' path needs a driver that copies", async (t) => {
    const { disks } = stage(t, { settings, canCopy: false });
    await assert.rejects(disks.finish(signal), (thrown) => hasCode(thrown, 'GODWIT_INTERNAL'));
  });
});
