import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ERRORS, GodwitError, type ErrorCode } from '../../src/errors.ts';
import { TABLE_WITH_LAB } from '../../lab/cli/table.ts';
import { connectionFlags, isGroup, spec, verb, type Verb } from '../../src/cli/verb.ts';
import { FakeContext, godwit, likeBefore } from './fake.ts';

const echoSpec = spec({
  name: 'echo',
  summary: 'print what was typed',
  args: {
    word: { kind: 'text', summary: 'a word', required: true },
    size: { kind: 'choice', choices: ['small', 'large'], summary: 'a size' },
  },
  flags: {
    dryRun: { kind: 'switch', summary: 'only say' },
    maxRate: { kind: 'rate', summary: 'a rate' },
    memory: { kind: 'bytes', summary: 'a size', preset: '512M' },
    wait: { kind: 'duration', summary: 'a wait', optionalValue: false },
    times: { kind: 'count', summary: 'how often' },
  },
  examples: ['echo hello'],
  json: '{ word }',
});

function table(run: () => void = () => {}): { verbs: Verb[]; loads: () => number } {
  let loaded = 0;
  const echo = verb(echoSpec, async () => {
    loaded += 1;
    return {
      run: async (input, context) => {
        run();
        const { args, flags } = input;
        context.out.write(JSON.stringify({ ...args, ...flags }));
      },
    };
  });
  return { verbs: [echo], loads: () => loaded };
}

describe('the frame', () => {
  test('the frame gives a verb its words and its flags with their values', async () => {
    const context = new FakeContext();
    const line = 'echo hello small --dry-run --max-rate 8mbit --wait 1.5s --times 3';
    assert.equal(await godwit(context, line, table().verbs), 0);
    assert.deepEqual(JSON.parse(context.out.text), {
      word: 'hello',
      size: 'small',
      dryRun: true,
      maxRate: 1_000_000,
      memory: 512 * 1024 * 1024,
      wait: 1500,
      times: 3,
    });
  });

  test('the frame imports no verb to print the help', async () => {
    const context = new FakeContext();
    const { verbs, loads } = table();
    assert.equal(await godwit(context, 'echo --help', verbs), 0);
    assert.equal(await godwit(context, '--help', verbs), 0);
    assert.equal(loads(), 0);
    assert.match(context.out.text, /godwit echo hello/);
  });

  const wrong: [string, RegExp, RegExp][] = [
    ['eco hello', /no verb "eco"/, /Did you mean echo\?/],
    ['zebra', /no verb "zebra"/, /godwit --help/],
    ['echo', /needs <word>/, /godwit echo --help/],
    ['echo a --dri-run', /no flag --dri-run/, /Did you mean --dry-run\?/],
    ['echo a smal', /"smal"/, /Did you mean small\?/],
    ['echo a --wait 5', /--wait: "5" is not a duration/, /1\.5s/],
    ['echo a --times two', /--times: "two" is not a number/, /whole number/],
    ['echo a --times=-1', /--times: "-1" is not a number/, /whole number/],
    ['echo a --max-rate', /needs a value/, /godwit echo --help/],
    ['echo a small more', /takes fewer words: "more" is one too many/, /godwit echo --help/],
  ];
  for (const [line, error, hint] of wrong) {
    test(`\`${line}\` is refused as a mistake in usage, with the hint`, async () => {
      const context = new FakeContext();
      const { verbs, loads } = table();
      assert.equal(await godwit(context, line, verbs), 2);
      assert.match(context.err.text, error);
      assert.match(context.err.text, hint);
      assert.equal(context.out.text, '');
      assert.equal(loads(), 0);
    });
  }

  test('the frame prints an error as one JSON object when asked for JSON', async () => {
    const context = new FakeContext();
    assert.equal(await godwit(context, 'echo --json', table().verbs), 2);
    const { error } = JSON.parse(context.out.text);
    assert.equal(error.code, 'GODWIT_USAGE');
    assert.match(context.err.text, /^error: .*\nhint: .*\n$/);
  });

  test('an error outside the table is reported as a defect, without a stack trace', async () => {
    const context = new FakeContext();
    const fail = (): never => {
      throw new TypeError('x is undefined');
    };
    assert.equal(await godwit(context, 'echo a', table(fail).verbs), 70);
    assert.match(context.err.text, /^error: x is undefined\nhint: .*\n$/);
  });

  test('the frame prints causes only when asked for', async () => {
    const context = new FakeContext();
    context.env['GODWIT_DEBUG'] = '1';
    const fail = (): never => {
      throw new TypeError('x is undefined');
    };
    await godwit(context, 'echo a', table(fail).verbs);
    assert.match(context.err.text, /cause: TypeError: x is undefined/);
    for (const line of ['echo a -v', '-v echo a', '--verbose echo a']) {
      const asked = new FakeContext();
      await godwit(asked, line, table(fail).verbs);
      assert.match(asked.err.text, /cause: TypeError: x is undefined/, line);
    }
  });

  for (const code of Object.keys(ERRORS) as ErrorCode[]) {
    test(`${code} sets the exit code of its row`, async () => {
      const { exit, message, hint, retryable } = ERRORS[code];
      const context = new FakeContext();
      const fail = (): never => {
        throw new GodwitError({ code, message, hint, retryable, facts: {} });
      };
      assert.equal(await godwit(context, 'echo a', table(fail).verbs), exit);
      assert.ok([2, 3, 4, 5, 6, 7, 8, 9, 70].includes(exit));
    });
  }
});

describe('the help', () => {
  test('the help of godwit matches its snapshot', async (t) => {
    const context = new FakeContext();
    context.out.width = 100;
    assert.equal(await godwit(context, '--help'), 0);
    likeBefore(t, context.out.text);
  });

  for (const entry of TABLE_WITH_LAB) {
    const name = isGroup(entry) ? entry.name : entry.spec.name;
    test(`the help of ${name} has an example`, async () => {
      const context = new FakeContext();
      assert.equal(await godwit(context, `${name} --help`, TABLE_WITH_LAB), 0);
      assert.match(context.out.text, new RegExp(`Examples?\n  godwit ${name}`));
    });
  }

  test('the help of migrate matches its snapshot', async (t) => {
    const context = new FakeContext();
    context.out.width = 100;
    await godwit(context, 'migrate --help');
    likeBefore(t, context.out.text);
  });

  test('the help of a group is printed when no verb is named', async () => {
    const context = new FakeContext();
    assert.equal(await godwit(context, 'pki'), 0);
    assert.match(context.out.text, /issue .*certificate/);
  });

  test('the help of each verb of a group has an example', async () => {
    for (const entry of TABLE_WITH_LAB.filter(isGroup)) {
      for (const { spec: member } of await entry.verbs()) {
        const context = new FakeContext();
        const path = `${entry.name} ${member.name}`;
        assert.equal(await godwit(context, `${path} --help`, TABLE_WITH_LAB), 0, path);
        assert.match(context.out.text, new RegExp(`Examples?\n  godwit ${path}`), path);
      }
    }
  });

  test('no flag of a verb has the same name as a flag of the frame', async () => {
    for (const { spec: each } of await allVerbs()) {
      const reserved = ['json', 'verbose', 'help', ...Object.keys(connectionFlags(each))];
      const taken = Object.keys(each.flags ?? {}).filter((flag) => reserved.includes(flag));
      assert.deepEqual(taken, [], each.name);
    }
  });

  test('the first screen has five groups on at most 36 lines, and names every verb of at most 30', async () => {
    for (const columns of [80, 100]) {
      const context = new FakeContext();
      context.out.width = columns;
      assert.equal(await godwit(context, '--help', TABLE_WITH_LAB), 0);
      const lines = context.out.text.trimEnd().split('\n');
      assert.ok(lines.length <= 36, `${lines.length} lines at ${columns} columns`);
      const titles = lines.filter((line) => /^[A-Z][a-z ]+$/.test(line));
      assert.deepEqual(titles, [
        'Start here',
        'Move a guest',
        'Maintain hosts',
        'Look back',
        'Set up and access',
      ]);
      assert.ok(lines.filter((line) => /^ {2}\w/.test(line)).length <= 30);
    }
  });

  test('the complete help names each verb, each variable and each exit code', async () => {
    const context = new FakeContext();
    assert.equal(await godwit(context, 'help --all', TABLE_WITH_LAB), 0);
    const { text } = context.out;
    for (const entry of TABLE_WITH_LAB) {
      const name = isGroup(entry) ? entry.name : entry.spec.name;
      assert.match(text, new RegExp(`^  ${name} `, 'm'));
    }
    assert.match(text, /^ {2}GODWIT_CONTROLLER /m);
    assert.match(text, /^ {2}70 /m);
  });

  test('the help of every verb fits the width of the terminal', async () => {
    const paths = TABLE_WITH_LAB.map((entry) => (isGroup(entry) ? entry.name : entry.spec.name));
    const members = await Promise.all(
      TABLE_WITH_LAB.filter(isGroup).map(async ({ name, verbs }) =>
        (await verbs()).map(({ spec: { name: verbName } }) => `${name} ${verbName}`),
      ),
    );
    const lines = [
      '--help',
      'help --all',
      ...[...paths, ...members.flat()].map((each) => `${each} --help`),
    ];
    for (const columns of [60, 80, 100]) {
      for (const line of lines) {
        const context = new FakeContext();
        context.out.width = columns;
        assert.equal(await godwit(context, line, TABLE_WITH_LAB), 0, line);
        for (const each of context.out.text.split('\n'))
          // One word, such as a path, is never broken: it can be copied.
          if (/\S\s+\S/.test(each)) assert.ok(each.length <= columns, `${line}: ${each}`);
      }
    }
  });

  test('the help of migrate groups its flags, and a verb of a controller takes no agent', async () => {
    const context = new FakeContext();
    await godwit(context, 'migrate --help');
    const titles = [...context.out.text.matchAll(/^[A-Z][a-z ]+$/gm)].map(([title]) => title);
    assert.deepEqual(titles, [
      'Arguments',
      'Common',
      'When to begin',
      'Memory',
      'Disks',
      'Devices and network',
      'Managers',
      'Connection',
      'Examples',
    ]);
    const drain = new FakeContext();
    await godwit(drain, 'drain --help');
    assert.match(drain.out.text, /--controller/);
    assert.doesNotMatch(drain.out.text, /--agent/);
    assert.equal(await godwit(drain, 'drain a --agent /tmp/x'), 2);
    assert.match(drain.err.text, /no flag --agent/);
  });
});

async function allVerbs(): Promise<readonly Verb[]> {
  const verbs = await Promise.all(
    TABLE_WITH_LAB.map(async (entry) => (isGroup(entry) ? entry.verbs() : [entry])),
  );
  return verbs.flat();
}
