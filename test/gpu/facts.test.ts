import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseApps, parseGpus } from '../../src/gpu/facts.ts';

const UUID = 'GPU-c65b48ee-4672-bdff-e340-b2e484185cf5';
const DIGITS = 'c65b48ee4672bdffe340b2e484185cf5';
const MIB = 1024 ** 2;

test("the GPU facts are read from nvidia-smi's output", () => {
  const text = `${UUID}, NVIDIA H200, 143771, 1039, Disabled, 580.159.04\n${UUID}, NVIDIA A100, 40960, 0, Enabled, 570.1\n`;
  const [one, other] = parseGpus(text);
  assert.deepEqual(one, {
    uuid: DIGITS,
    name: 'NVIDIA H200',
    totalBytes: 143_771 * MIB,
    usedBytes: 1039 * MIB,
    mig: false,
    driver: '580.159.04',
  });
  assert.equal(other?.mig, true);
  assert.equal(parseGpus(`${UUID}, X, 1, 0, [N/A], 580\n`)[0]?.mig, false);
});

test("the processes on a GPU are listed, and the driver's unknown facts are marked", () => {
  const text = `515, ${UUID}, 1039\n516, ${UUID}, [N/A]\n`;
  assert.deepEqual(parseApps(text), [
    { pid: 515, uuid: DIGITS, bytes: 1039 * MIB },
    { pid: 516, uuid: DIGITS },
  ]);
});

test('lines in an unknown format are ignored', () => {
  assert.deepEqual(parseGpus('No devices were found\n'), []);
  assert.deepEqual(parseGpus(`${UUID}, X, many, 0, Disabled, 580\n`), []);
  assert.deepEqual(parseGpus(`${UUID}, X, 1, 0, Disabled, $(id)\n`), []);
  assert.deepEqual(parseGpus('GPU-c65b48ee-4672, X, 1, 0, Disabled, 580\n'), []);
  assert.deepEqual(parseApps(`0, ${UUID}, 1\n-5, ${UUID}, 1\n1x, ${UUID}, 1\n`), []);
});

test('the GPU facts never fail, and are no more than the lines, whatever the output', () => {
  const word = fc.oneof(fc.string(), fc.constantFrom(UUID, '1', '580', 'Enabled', '[N/A]'));
  const lines = fc.array(fc.array(word, { maxLength: 8 }).map((words) => words.join(', ')));
  fc.assert(
    fc.property(lines, (all) => {
      const text = all.join('\n');
      const most = text.split('\n').length;
      assert.ok(parseGpus(text).length <= most && parseApps(text).length <= most);
    }),
  );
});
