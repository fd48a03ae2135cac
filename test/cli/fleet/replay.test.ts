import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { FILES, rangeOf } from '../../planner/sim/history/histories.ts';
import { JSON_SHAPES } from '../../../tools/docs/json-shapes.ts';
import { FakeContext, godwit } from '../fake.ts';

let folder = '';
before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'godwit-sim-'));
  for (const [name, text] of Object.entries<string>({ ...FILES }))
    await writeFile(path.join(folder, name), text);
});
after(() => rm(folder, { recursive: true }));

test('a replay is shown next to the recorded history, and the report is written', async () => {
  const context = new FakeContext();
  const page = path.join(folder, 'report.html');
  assert.equal(
    await godwit(context, `advise replay --trace ${folder} --policy balance --html ${page}`),
    0,
  );
  assert.match(
    context.out.text,
    /^ +as it was +with balance\ncontention, host-hours +5\.0 +0\.\d\n/,
  );
  const written = await readFile(page, 'utf8');
  assert.match(written, /^<!doctype html>/);
  assert.match(written, /<td>day 1, \d\d:\d\d<\/td>/);
});

test('--json prints what docs/cli.md shows', async () => {
  for (const policy of ['consolidate', 'rightsize']) {
    const context = new FakeContext();
    assert.equal(
      await godwit(context, `advise replay --trace ${folder} --policy ${policy} --json`),
      0,
    );
    assert.ok(JSON_SHAPES['sim']?.safeParse(JSON.parse(context.out.text)).success);
  }
});

test('energy is shown in money if a price is given, and a malformed price is refused', async () => {
  const context = new FakeContext();
  assert.equal(await godwit(context, `advise replay --trace ${folder} --price 0.5eur`), 0);
  assert.match(context.out.text, /\nenergy, EUR +1\.15 +1\.\d\d\n$/);
  assert.equal(await godwit(new FakeContext(), `advise replay --trace ${folder} --price cheap`), 2);
});

test('rightsize proposes sizes, or reports that there is nothing to propose', async () => {
  const context = new FakeContext();
  assert.equal(await godwit(context, `advise replay --trace ${folder} --policy rightsize`), 0);
  assert.equal(context.out.text, 'no guest asks for much more than it uses\n');
});

test("rightsize counts the recorded use, and a guest's name cannot move the cursor", async () => {
  const other = await mkdtemp(path.join(tmpdir(), 'godwit-sim-'));
  const times = Array.from({ length: 288 }, (_, look) => look * 300);
  const files = {
    ...FILES,
    'guests.csv': 'name,host,cores,memory_gib\nlong\u001B[2J,a,4,4\nshort,a,4,4\n',
    // The second was asked for at the first and the last look of the day alone.
    'load.csv': [
      'time,guest,cores',
      ...times.map((at) => `${at},long\u001B[2J,1`),
      ...times.filter((at) => at % 86_100 === 0).map((at) => `${at},short,1`),
    ].join('\n'),
  };
  for (const [name, text] of Object.entries<string>(files))
    await writeFile(path.join(other, name), text);
  const context = new FakeContext();
  assert.equal(await godwit(context, `advise replay --trace ${other} --policy rightsize`), 0);
  // Nor where an error says it.
  await writeFile(path.join(other, 'load.csv'), 'time,guest,cores\n0,short,1\n');
  const refused = new FakeContext();
  assert.equal(await godwit(refused, `advise replay --trace ${other}`), 2);
  assert.match(refused.err.text, /load\.csv: has no sample of long\uFFFD\[2J, /);
  assert.match(context.out.text, /^long\uFFFD\[2J uses at most [^\n]* of 288 samples[^\n]*\n$/);
  await rm(other, { recursive: true });
});

test('a wrong file is named with line, column and expectation; a missing one is named, too', async () => {
  const other = await mkdtemp(path.join(tmpdir(), 'godwit-sim-'));
  const context = new FakeContext();
  assert.equal(await godwit(context, `advise replay --trace ${other}`), 2);
  assert.match(context.err.text, /hosts\.csv: can not be read/);
  for (const [name, text] of Object.entries<string>({ ...FILES }))
    await writeFile(path.join(other, name), text);
  await writeFile(path.join(other, 'load.csv'), 'time,guest,cores\n1,g1,lots\n');
  const again = new FakeContext();
  assert.equal(await godwit(again, `advise replay --trace ${other}`), 2);
  assert.match(
    again.err.text,
    /load\.csv:2: column 3 \(cores\): expected a number, 0 or more, got 'lots'/,
  );
  await rm(other, { recursive: true });
});

test('an empty history, a single host and impossible guests are described, without a plan', async () => {
  const other = await mkdtemp(path.join(tmpdir(), 'godwit-sim-'));
  try {
    const printed = async (files: Partial<typeof FILES>, policy = 'balance') => {
      for (const [name, text] of Object.entries<string>({ ...FILES, ...files }))
        await writeFile(path.join(other, name), text);
      const context = new FakeContext();
      const exit = await godwit(context, `advise replay --trace ${other} --policy ${policy}`);
      return { exit, out: context.out.text, err: context.err.text };
    };
    const [hostHead = '', hostA = ''] = FILES['hosts.csv'].split('\n');
    const [guestHead = ''] = FILES['guests.csv'].split('\n');
    const bad: [Partial<typeof FILES>, RegExp][] = [
      [{ 'hosts.csv': `${hostHead}\n` }, /hosts\.csv: has no host/],
      [{ 'guests.csv': `${guestHead}\n` }, /guests\.csv: has no guest/],
      [{ 'load.csv': 'time,guest\n1,g1\n' }, /load\.csv:1: has no column cores; expected time/],
      [
        { 'load.csv': 'time,guest,cores\n1,g1,40\n' },
        /load\.csv:2: column 3 \(cores\): expected at most 9 of a guest with 4 cores, got '40'/,
      ],
      [
        { 'load.csv': 'time,guest,cores\n1,g1,NaN\n' },
        /load\.csv:2: column 3 \(cores\): expected a number, 0 or more, got 'NaN'/,
      ],
    ];
    for (const [files, words] of bad) {
      const { exit, out, err } = await printed(files);
      assert.deepEqual([exit, out], [2, '']);
      assert.match(err, words);
    }
    for (const policy of ['balance', 'consolidate']) {
      const { exit, out } = await printed({ 'hosts.csv': `${hostHead}\n${hostA}\n` }, policy);
      assert.equal(exit, 0);
      assert.match(out, /\nmoves +0 +0\n/);
      assert.match(out, /not possible at \d+ looks, such as: a: is (the only host|asked for more)/);
    }
  } finally {
    await rm(other, { recursive: true });
  }
});

test('a Prometheus answer replaces load.csv, and a mistake in it is named', async () => {
  const other = await mkdtemp(path.join(tmpdir(), 'godwit-sim-'));
  try {
    const write = (name: string, text: string) => writeFile(path.join(other, name), text);
    await write('hosts.csv', FILES['hosts.csv']);
    await write('guests.csv', FILES['guests.csv']);
    const series = (value: string) =>
      rangeOf(
        [1, 2, 3, 4].map((at) => [
          { guest: `g${at}` },
          Array.from({ length: 72 }, (_, tick) => [tick * 300, tick < 12 ? '1' : value]),
        ]),
      );
    await write('load.json', series('3'));
    const [json, table] = [new FakeContext(), new FakeContext()];
    assert.equal(await godwit(json, `advise replay --trace ${other}`), 0);
    assert.equal(await godwit(table, `advise replay --trace ${folder}`), 0);
    assert.equal(json.out.text, table.out.text);
    await write('load.json', series('-3'));
    const wrong = new FakeContext();
    assert.equal(await godwit(wrong, `advise replay --trace ${other}`), 2);
    assert.match(wrong.err.text, /load\.json: line 1, column \d+: .*expected a number, 0 or more/);
    await write('load.csv', FILES['load.csv']);
    const both = new FakeContext();
    assert.equal(await godwit(both, `advise replay --trace ${other}`), 2);
    assert.match(both.err.text, /load\.csv and load\.json both exist/);
  } finally {
    await rm(other, { recursive: true });
  }
});
