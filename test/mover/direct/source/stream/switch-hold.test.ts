import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { silentLog } from '../../../../../src/log.ts';
import {
  initialSource,
  type SourceState,
} from '../../../../../src/migration/direct/source/source-state.ts';
import { SwitchHold } from '../../../../../src/mover/direct/source/stream/switch-hold.ts';
import type { StreamChange } from '../../../../../src/port/stream-change.ts';
import type { MigrationSettings } from '../../../../../src/protocol/public/migration.ts';
import { planned } from '../../../../migration/direct/samples.ts';
import { UNCAPPED } from '../answers.ts';

type Dependencies = ConstructorParameters<typeof SwitchHold>[0];

const MIB = 1024 ** 2;
const { signal } = new AbortController();
const HELD = { precopyBandwidth: 64 * 1024, maxDowntimeMs: 1 };

interface Setup {
  readonly settings?: Partial<MigrationSettings>;
  readonly tookOver?: boolean;
  readonly now?: Partial<SourceState>;
}

/** A stream of pre-copy, and what its hypervisor is asked for. */
function stage({ settings, tookOver = false, now = {} }: Setup = {}) {
  const { state: first } = initialSource(planned({ maxDowntimeMs: 100, ...settings }));
  const seen = { fails: false };
  const asked: StreamChange[] = [];
  const state = { ...first, doing: { kind: 'do', step: 'memory' }, ...now } as SourceState;
  const adjust = async (change: StreamChange): Promise<void> => {
    if (seen.fails) throw new Error('the monitor is busy');
    asked.push(change);
  };
  const context = {
    ...UNCAPPED,
    state: () => state,
    tookOver: () => tookOver,
    underWay: { downtimeMs: () => 70 },
    guest: { session: async () => ({ adjust }), capabilities: {} },
  } as unknown as Dependencies;
  const hold = new SwitchHold(context, silentLog);
  const set = (isHeld: boolean): Promise<void> => hold.set(isHeld, signal);
  return { seen, asked, hold, set };
}

describe('the switch of pre-copy', () => {
  test('the switch of pre-copy is held once by minimal bandwidth and downtime, and freed by the settings', async () => {
    const { asked, hold, set } = stage({ settings: { maxBandwidth: 24 * MIB } });
    await set(false);
    assert.deepEqual([asked, hold.isHolding], [[], false]);
    await set(true);
    await set(true);
    assert.deepEqual([asked, hold.isHolding], [[HELD], true]);
    await set(false);
    await set(false);
    const free = { maxBandwidth: 24 * MIB, maxDowntimeMs: 70 };
    assert.deepEqual([asked, hold.isHolding], [[HELD, free], false]);
  });

  test('the switch of pre-copy has no cap once it is free if none was requested', async () => {
    const { asked, set } = stage();
    await set(true);
    await set(false);
    assert.deepEqual(asked.at(-1), { maxBandwidth: 0, maxDowntimeMs: 70 });
  });

  test('the switch of pre-copy is freed by a mover that took over, since the earlier one may have held it', async () => {
    const { asked, set } = stage({ tookOver: true });
    await set(false);
    assert.deepEqual(asked, [{ maxBandwidth: 0, maxDowntimeMs: 70 }]);
  });

  test('the switch of pre-copy is held at the next look if the hypervisor did not apply the setting', async () => {
    const { seen, asked, hold, set } = stage();
    seen.fails = true;
    await set(true);
    assert.equal(hold.isHolding, false);
    seen.fails = false;
    await set(true);
    assert.deepEqual([asked, hold.isHolding], [[HELD], true]);
    seen.fails = true;
    await set(false);
    assert.equal(hold.isHolding, true);
  });

  test('the switch is left alone before memory moves, after the guest has stopped, and over the wire', async () => {
    const others: Partial<SourceState>[] = [
      { doing: { kind: 'do', step: 'mirror' } },
      { doing: { kind: 'undo', step: 'memory' } },
      { stopped: true },
      { known: { path: { takes: 'wire', why: 'so' } } },
    ] as Partial<SourceState>[];
    for (const now of others) {
      const { asked, hold, set } = stage({ now });
      await set(true);
      assert.deepEqual([asked, hold.isHolding], [[], false]);
    }
  });
});
