import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  judgeSamples,
  judgeReported,
  sampleDevice,
  samplePlaces,
  sumOf,
  type Sample,
  type SampleQuestion,
} from '../../../src/disks/proof/device-samples.ts';
import { tempDir } from '../../rpc/test-contract.ts';

const PIECE = 4096;
const { signal } = new AbortController();

function questionOf(bytes: number, change: Partial<SampleQuestion> = {}): SampleQuestion {
  const device = { ids: ['wwid naa.1'], bytes };
  return { from: 'a', to: 'b', migration: 'm-1', challenge: 'ab'.repeat(32), device, ...change };
}

const sumsOf = (samples: readonly Sample[]): string[] => samples.map(({ sum }) => sum);

/** Samples whose sums are these numbers; each says something, unless it is 0. */
const samplesOf = (values: readonly number[]): Sample[] =>
  values.map((each) => ({ sum: String(each), isDistinct: each !== 0 }));

describe('places of samples', () => {
  test('the places of samples are within the device, at both ends, each once, and as the challenge requires', () => {
    fc.assert(
      fc.property(fc.bigInt(4096n, 2n ** 45n), fc.string(), (size, challenge) => {
        const bytes = Number(size);
        const places = samplePlaces(bytes, challenge);
        assert.ok(places.length > 0 && places.length <= 256);
        assert.equal(new Set(places).size, places.length);
        assert.ok(places.includes(0));
        assert.ok(places.includes((Math.floor(bytes / PIECE) - 1) * PIECE));
        for (const at of places) assert.ok(at >= 0 && at % PIECE === 0 && at + PIECE <= bytes);
        assert.deepEqual(samplePlaces(bytes, challenge), places);
      }),
    );
    assert.notDeepEqual(samplePlaces(2 ** 40, 'a'), samplePlaces(2 ** 40, 'b'));
    assert.deepEqual(samplePlaces(512, 'a'), []);
  });
});

describe('the sum of a piece', () => {
  test('a sum is valid only between two hosts, in one migration, for one device, challenge and place', () => {
    const piece = randomBytes(PIECE);
    const text = fc.string({ maxLength: 12 });
    const bytes = fc.nat();
    const question = fc.record({
      from: text,
      to: text,
      migration: text,
      challenge: text,
      device: fc.record({ ids: fc.array(text, { maxLength: 2 }), bytes }),
    });
    fc.assert(
      fc.property(question, question, fc.nat(), fc.nat(), (one, other, at, elsewhere) => {
        const isSame = JSON.stringify([one, at]) === JSON.stringify([other, elsewhere]);
        assert.equal(sumOf(piece, at, one) === sumOf(piece, elsewhere, other), isSame);
        for (const key of ['from', 'to', 'migration', 'challenge'] as const) {
          const changed = { ...one, [key]: `${one[key]}x` };
          assert.notEqual(sumOf(piece, at, changed), sumOf(piece, at, one), key);
        }
      }),
    );
  });
});

describe('samples of a device', () => {
  test('samples of a device with little data do not admit a host that sends sums of zeroes', async (t) => {
    const file = path.join(tempDir(t), 'device');
    const bytes = 4096 * PIECE;
    const question = questionOf(bytes);
    const zeroes = samplePlaces(bytes, question.challenge).map((at) =>
      sumOf(Buffer.alloc(PIECE), at, question),
    );
    for (const filled of [0, 1, 2, 20, 200, 2000, 4096]) {
      const content = Buffer.alloc(bytes);
      for (let piece = 0; piece < filled; piece++) {
        randomBytes(PIECE).copy(content, Math.floor((piece * 4096) / filled) * PIECE);
      }
      await writeFile(file, content);
      const own = await sampleDevice(file, question, signal);
      assert.equal(judgeReported(own, zeroes).same, false, `${filled}`);
      assert.equal(judgeReported(own, sumsOf(own)).same, filled >= 2000, `${filled}`);
    }
  });

  test('samples do not count one repeated byte, or data that was read before', async (t) => {
    const file = path.join(tempDir(t), 'device');
    const bytes = 4096 * PIECE;
    const pattern = Buffer.alloc(PIECE, 'pattern ');
    for (const piece of [Buffer.alloc(PIECE, 0xff), pattern]) {
      await writeFile(file, Buffer.alloc(bytes, piece));
      const own = await sampleDevice(file, questionOf(bytes), signal);
      const telling = own.filter(({ isDistinct }) => isDistinct).length;
      assert.equal(telling, piece === pattern ? 1 : 0);
      const reported = judgeReported(own, sumsOf(own));
      assert.ok(!reported.same && /too little of it holds data/.test(reported.why));
    }
  });

  test('samples that were requested from another host are of no use here', async (t) => {
    const file = path.join(tempDir(t), 'device');
    const bytes = 1024 * PIECE;
    await writeFile(file, randomBytes(bytes));
    // A host that was asked by its victim asks the destination, and passes the challenge on.
    const here = questionOf(bytes, { from: 'relay' });
    const own = await sampleDevice(file, here, signal);
    const victim = await sampleDevice(file, questionOf(bytes, { to: 'relay' }), signal);
    assert.equal(judgeReported(own, sumsOf(victim)).same, false);
    assert.equal(judgeReported(own, sumsOf(await sampleDevice(file, here, signal))).same, true);
  });
});

describe("the source's report of a device", () => {
  test('a report of the source differs in at most one of 16 meaningful pieces', () => {
    const pieces = fc.array(fc.nat({ max: 3 }), { minLength: 1, maxLength: 256 });
    fc.assert(
      fc.property(pieces, fc.infiniteStream(fc.boolean()), (values, changes) => {
        const own = samplesOf(values);
        const reported = sumsOf(own).map((sum) =>
          changes.next().value === true ? `${sum}x` : sum,
        );
        const telling = values.filter((each) => each !== 0).length;
        const other = reported.filter((each, index) => each !== own[index]?.sum).length;
        const { same } = judgeReported(own, reported);
        assert.equal(same, telling >= 16 && other <= Math.floor(telling / 16));
        assert.equal(judgeReported(own, reported.slice(1)).same, false);
      }),
    );
  });
});

describe('both hosts', () => {
  test('both hosts see the same device if its unchanged pieces match and enough pieces did not change', () => {
    const value = fc.nat({ max: 2 });
    const all = fc.array(fc.tuple(value, fc.oneof(value, fc.constant(9)), value), {
      minLength: 1,
      maxLength: 256,
    });
    const equal = fc.array(value, { maxLength: 256 }).map((each) => each.map((at) => [at, at, at]));
    fc.assert(
      fc.property(fc.oneof(all, equal), (read) => {
        const [before, there, later] = [0, 1, 2].map((at) => read.map((each) => each[at] ?? 0));
        const own = samplesOf(before ?? []);
        const { same } = judgeSamples(own, (there ?? []).map(String), samplesOf(later ?? []));
        const still = read.filter(([one, , two]) => one === two);
        const differs = still.some(([one, other]) => one !== other);
        const telling = still.filter(([one]) => one !== 0).length;
        assert.equal(same, !differs && telling >= 16);
      }),
    );
  });

  test('both hosts see different devices if one unwritten piece differs, as in two copies', () => {
    const values = Array.from({ length: 256 }, (_, index) => index + 1);
    const own = samplesOf(values);
    for (const at of [0, 1, 100, 255]) {
      const copy = values.map((each, index) => (index === at ? `${each}x` : String(each)));
      assert.equal(judgeSamples(own, copy, own).same, false);
    }
    assert.equal(judgeSamples(own, values.map(String), own).same, true);
  });

  test('samples prove nothing if there are none, or too few', () => {
    assert.equal(judgeSamples([], [], []).same, false);
    const own = samplesOf(Array.from({ length: 64 }, (_, index) => index + 1));
    assert.equal(judgeSamples(own, sumsOf(own).slice(1), own).same, false);
    assert.equal(judgeSamples(own, sumsOf(own), own.slice(1)).same, false);
  });
});
