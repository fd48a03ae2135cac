import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { momentOf } from '../../../src/cli/migrate/deadline.ts';
import { parseStrategy, readStrategyFile } from '../../../src/cli/migrate/steering-file.ts';
import { GodwitError } from '../../../src/errors.ts';
import { STRATEGIES } from '../../../src/protocol/public/steering.ts';
import { godwit } from '../fake.ts';
import { requestOf } from '../../../src/cli/migrate/migration-request.ts';
import { world } from '../migrating.ts';
import { plannedTo } from '../planned-move.ts';

const refusal = (text: string): GodwitError => {
  try {
    parseStrategy(text, 'night.json');
  } catch (error) {
    if (error instanceof GodwitError) return error;
    throw error;
  }
  assert.fail('it was taken');
};

test('each named strategy can be written to a file and is read as the same strategy', () => {
  for (const strategy of Object.values(STRATEGIES))
    assert.deepEqual(parseStrategy(JSON.stringify(strategy), 'own.json'), strategy);
});

test('an unknown field is named, with its line and the nearest one', () => {
  const text = '{\n  "name": "night",\n  "measures": ["downtime"],\n  "giveUpRound": 4\n}\n';
  const { code, message, hint } = refusal(text);
  assert.equal(code, 'GODWIT_USAGE');
  assert.match(message, /night\.json: line 4: unknown field "giveUpRound"/);
  assert.match(hint, /giveUpRounds/);
});

test('a value that is not accepted is named with its line', () => {
  assert.match(
    refusal('{\n"name": "night",\n"stalledRounds": 0}').message,
    /line 3: stalledRounds/,
  );
  const falling = '{"name": "night", "downtimeShares": [0.5, 0.2, 1]}';
  assert.match(refusal(falling).message, /line 1: downtimeShares: rising/);
  assert.match(refusal('{\n"name": }').message, /it is no JSON: Unexpected token/);
  assert.match(refusal('[]').message, /night\.json/);
});

test('a missing field and a missing file are reported as missing', () => {
  assert.match(refusal('{"measures": ["downtime"]}').message, /night\.json: name is missing$/);
  assert.throws(
    () => readStrategyFile('/nowhere/night.json'),
    (thrown) =>
      thrown instanceof GodwitError &&
      thrown.message.endsWith('--steering-file /nowhere/night.json: no such file') &&
      thrown.hint.startsWith('Name a file of JSON'),
  );
});

test("QEMU's dirty limit is refused by its name, with the alternative", () => {
  const { code, message, hint } = refusal('{"name": "ring",\n"measures": ["dirty-limit"]}');
  assert.equal(code, 'GODWIT_USAGE');
  assert.match(message, /line 2: measures: Godwit does not use "dirty-limit" of QEMU/);
  assert.match(hint, /^Use the measure "throttle"\./);
});

test('a measure without steps, and steps without their measure, are refused with their line', () => {
  const slow = '{"name": "slow",\n"measures": ["throttle"]}';
  assert.match(refusal(slow).message, /line 2: measures: "throttle" needs throttlePercents/);
  const own: [string, string][] = [
    ['throttlePercents', '[50]'],
    ['downtimeShares', '[0.5, 1]'],
    ['precopyRounds', '3'],
    ['postcopyWithinMs', '3000'],
    ['postcopyIfCheaper', 'true'],
  ];
  for (const [field, value] of own) {
    const { message } = refusal(`{"name": "own",\n"${field}": ${value}}`);
    assert.match(message, new RegExp(`line 2: ${field}: without the measure`));
  }
});

test('every file is read or refused with GODWIT_USAGE, whatever it holds', () => {
  const texts = fc.oneof(
    fc.string(),
    fc.json(),
    fc.object().map((each) => JSON.stringify(each)),
  );
  fc.assert(
    fc.property(texts, (text) => {
      try {
        assert.ok(parseStrategy(text, 'x').name.length > 0);
      } catch (error) {
        assert.ok(error instanceof GodwitError && error.code === 'GODWIT_USAGE', String(error));
      }
    }),
  );
});

test('a file that cannot be read, or is far too long, is refused', () => {
  assert.throws(() => readStrategyFile('/'), /EISDIR/);
  const directory = mkdtempSync(path.join(os.tmpdir(), 'godwit-strategy-'));
  try {
    const file = path.join(directory, 'long.json');
    writeFileSync(file, ' '.repeat(70_000));
    assert.throws(() => readStrategyFile(file), /more than 65536 bytes/);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test('a strategy decides the mode and the longest downtime, unless a flag sets one', async () => {
  const { context, asked } = world();
  assert.equal(await godwit(context, 'migrate web1 --to b --steering standard'), 0);
  const [{ mode, maxDowntimeMs, steering } = {}] = asked;
  assert.deepEqual(
    { mode, maxDowntimeMs, steering },
    {
      mode: 'hybrid',
      maxDowntimeMs: 500,
      steering: 'standard',
    },
  );
  assert.equal(
    await godwit(context, 'migrate web1 --to b --steering gentle --max-downtime 70ms'),
    0,
  );
  assert.equal(asked[1]?.mode, 'precopy');
  assert.equal(asked[1]?.maxDowntimeMs, 70);
});

test('a budget needs both its limits, and no strategy goes with a mode', async () => {
  let plans = 0;
  const plan = async () => {
    plans += 1;
    return plannedTo('b');
  };
  const { context, asked } = world({ more: { plan } });
  assert.equal(await godwit(context, 'migrate web1 --to b --steering budget'), 2);
  assert.match(context.err.text, /budget needs --max-downtime, and --deadline or --window/);
  assert.equal(await godwit(context, 'migrate web1 --to b --steering gentle --mode hybrid'), 2);
  const whole = 'migrate web1 --to b --steering budget --max-downtime 300ms --deadline 5m';
  assert.equal(await godwit(context, whole), 0);
  const left = Date.parse(asked[0]?.deadlineAt ?? '') - Date.now();
  assert.equal(plans, 1, 'what it would come to is asked for first');
  assert.ok(left > 290_000 && left <= 300_000, `${left} ms`);
});

test('a window is the deadline that a budget needs', () => {
  const flags = { steering: 'budget', maxDowntime: 300, window: '01:00-05:00' } as const;
  const asked = { args: { guest: 'web1' }, flags } as unknown as Parameters<typeof requestOf>[0];
  const { deadlineAt, notBefore, mode } = requestOf(asked, 'b');
  assert.deepEqual(
    [mode, deadlineAt !== undefined, notBefore !== undefined],
    ['hybrid', true, true],
  );
});

test('a deadline is a duration, a time of day or a moment', () => {
  const now = new Date(2026, 4, 1, 17, 30).getTime();
  assert.equal(momentOf('--deadline', '5m', now), now + 300_000);
  assert.equal(momentOf('--deadline', '18:00', now), now + 1_800_000);
  assert.equal(momentOf('--deadline', '17:30', now), new Date(2026, 4, 2, 17, 30).getTime());
  assert.equal(momentOf('--deadline', '2026-05-01T18:00Z', now), Date.UTC(2026, 4, 1, 18));
  for (const text of ['', 'soon', '25:00', '5', '2026-13-01T00:00Z'])
    assert.throws(() => momentOf('--deadline', text, now), /--deadline.*no time/);
});
