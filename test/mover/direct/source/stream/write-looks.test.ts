import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { initialSource } from '../../../../../src/migration/direct/source/source-state.ts';
import type { MoverParts } from '../../../../../src/mover/direct/source/source-base.ts';
import { WriteLooks } from '../../../../../src/mover/direct/source/stream/write-looks.ts';
import { planned, sampleOf } from '../../../../migration/direct/samples.ts';

const MIB = 1024 ** 2;
const FIRST = sampleOf({
  round: 1,
  rate: 10 * MIB,
  totalBytes: 256 * MIB,
  remainingBytes: 200 * MIB,
  totalMs: 4000,
  transferredBytes: 40 * MIB,
});
const LATER = { ...FIRST, totalMs: 6000, transferredBytes: 60 * MIB };

/** Looks of which the nth sees n MiB written, or fails where `fails` says so; a pause is over when `go` is called. */
function looking(fails: (look: number) => boolean = () => false) {
  let [look, go] = [0, (): void => {}];
  const measure = async () => {
    look += 1;
    if (fails(look)) throw new Error('its memory cannot be read any more');
    const curve = [{ windowMs: 1000, dirtyBytes: look * MIB }];
    return { how: 'pages', pages: 1024, memoryBytes: 256 * MIB, curve };
  };
  const { state } = initialSource(planned({ mode: 'hybrid' }));
  const needs: unknown = {
    state: () => state,
    guest: { session: async () => ({ measure }), capabilities: {} },
  };
  const looks = new WriteLooks({
    sleep: (_, signal) =>
      new Promise((resolve, reject) => {
        go = resolve;
        signal?.addEventListener('abort', () => reject(signal.reason as Error));
      }),
  });
  const saw = (sample: typeof FIRST, leftMs = 600_000): void =>
    looks.saw(needs as MoverParts, sample, leftMs);
  const pause = async (): Promise<void> => {
    go();
    await new Promise(setImmediate);
  };
  return { looks, saw, pause, made: () => look };
}

const writtenMib = ({ looks }: ReturnType<typeof looking>): number | undefined =>
  looks.newest === undefined ? undefined : (looks.newest.curve[0]?.dirtyBytes ?? 0) / MIB;

describe("samples of a guest's writes", () => {
  test("samples of the guest's writes repeat, and the newest counts, with the link at that time", async () => {
    const course = looking();
    course.saw(FIRST);
    await course.pause();
    assert.equal(course.made(), 0, 'nobody knows the link yet');
    course.saw(LATER);
    await new Promise(setImmediate);
    assert.equal(course.looks.newest?.linkRate, 10 * MIB);
    const before = writtenMib(course) ?? 0;
    await course.pause();
    await course.pause();
    assert.equal(writtenMib(course), before + 2);
  });

  test("samples of the guest's writes end with the round, and with the stop", async () => {
    for (const end of ['round', 'stop'] as const) {
      const course = looking();
      course.saw(FIRST);
      course.saw(LATER);
      await course.pause();
      const made = course.made();
      if (end === 'stop') course.looks.close();
      else course.saw({ ...LATER, round: 2 });
      await course.pause();
      assert.equal(course.made(), made, end);
      assert.ok(writtenMib(course) !== undefined, 'what was seen still counts');
    }
  });

  test("samples of the guest's writes include long ones if the round may end too late for post-copy", async () => {
    for (const [leftMs, windows] of [
      [600_000, 1],
      [20_000, 2],
    ] as const) {
      const course = looking();
      course.saw(FIRST, leftMs);
      course.saw(LATER, leftMs);
      await new Promise(setImmediate);
      assert.equal(course.made(), windows, `${leftMs}`);
      assert.equal(course.looks.newest?.long === undefined, windows === 1);
    }
  });

  test("samples of the guest's writes leave nothing behind once the memory cannot be read any more", async () => {
    const course = looking((look) => look > 1);
    course.saw(FIRST);
    course.saw(LATER);
    await new Promise(setImmediate);
    assert.equal(writtenMib(course), 1);
    await course.pause();
    assert.equal(writtenMib(course), undefined);
  });
});
