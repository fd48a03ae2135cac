import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { stripVTControlCharacters } from 'node:util';
import fc from 'fast-check';
import { parse } from 'yaml';
import { ERRORS } from '../../src/errors.ts';
import { verbFirst } from '../../src/cli/frame.ts';
import { endpoint, FakeContext, godwit, guest, host, ID, summary } from './fake.ts';

const NOW = Date.parse('2026-01-02T00:00:00.000Z');

function world(): FakeContext {
  const context = new FakeContext(
    endpoint('a', {
      guests: async () => ({ guests: [guest('web1', 'a'), guest('db', 'b')] }),
      hosts: async () => ({ hosts: [host('a'), host('b')] }),
      migrations: async () => ({
        migrations: [
          summary({ startedAt: '2026-01-01T23:00:00.000Z' }),
          summary({ id: 'm-failed00', phase: 'failed', startedAt: '2026-01-01T22:00:00.000Z' }),
          summary({
            id: 'm-older000',
            guest: 'db',
            phase: 'failed',
            startedAt: '2025-12-01T00:00:00.000Z',
          }),
        ],
      }),
    }),
  );
  context.clock.wallMs = () => NOW;
  return context;
}

async function said(line: string): Promise<string> {
  const context = world();
  assert.equal(await godwit(context, line), 0, context.err.text);
  return context.out.text;
}

describe('words of other tools', () => {
  test('the words list and ls run guests, and the help names them', async () => {
    const guests = await said('guests');
    for (const word of ['list', 'ls']) assert.equal(await said(word), guests);
    assert.match(await said('guests --help'), /\(also: list, ls\)/);
    assert.match(await said('help ls'), /also: list, ls/);
  });

  test('help prints the same as --help, for a verb, for a group of verbs and for the program', async () => {
    for (const [words, flag] of [
      ['help', '--help'],
      ['help guests', 'guests --help'],
      ['help pki', 'pki --help'],
      ['pki', 'pki --help'],
    ] as const)
      assert.equal((await said(words)).trim(), (await said(flag)).trim(), words);
  });

  test('status and the help of an unknown verb are errors that lead on', async () => {
    for (const [line, hint] of [
      ['status', /godwit migrations.*godwit guest NAME/],
      ['help migrat', /Did you mean migrate\?/],
      ['migrat', /Did you mean migrate\?/],
    ] as const) {
      const context = world();
      assert.equal(await godwit(context, line), 2);
      assert.match(context.err.text, hint);
    }
  });

  test('the help names every variable and exit code', async () => {
    const help = await said('help --all');
    for (const name of [
      'GODWIT_AGENT',
      'GODWIT_LAB',
      'GODWIT_CONTEXT',
      'GODWIT_DEBUG',
      'NO_COLOR',
      'LANG',
    ])
      assert.ok(help.includes(name), name);
    for (const { exit } of Object.values(ERRORS))
      assert.match(help, new RegExp(`^ +${exit} `, 'm'));
  });
});

describe('lists', () => {
  test('a list prints names alone, no heading, or JSON', async () => {
    for (const line of ['guests -q', 'guests -o name', 'ls --output name'])
      assert.equal(await said(line), 'web1\ndb\n');
    assert.equal(await said('hosts -q'), 'a\nb\n');
    assert.equal((await said('guests --no-headers')).split('\n').length, 3);
    assert.equal(await said('guests -o json'), await said('guests --json'));
  });

  test('YAML output equals --json, including errors', async () => {
    for (const verb of ['guests', 'hosts', 'migrations'])
      for (const how of ['-o yaml', '-oyaml', '--output=yaml'])
        assert.deepEqual(
          parse(await said(`${verb} ${how}`)),
          JSON.parse(await said(`${verb} --json`)),
        );
    const context = new FakeContext();
    assert.equal(await godwit(context, 'guests -o yaml'), 8);
    const { error } = parse(context.out.text) as { error: { code: string } };
    assert.equal(error.code, 'GODWIT_UNREACHABLE');
  });

  test('wide lists have further columns, and nothing is left out on a narrow terminal', async () => {
    const shown = async (line: string): Promise<string> => {
      const context = world();
      Object.assign(context.out, { isTerminal: true, width: 40 });
      assert.equal(await godwit(context, line), 0, context.err.text);
      return stripVTControlCharacters(context.out.text);
    };
    assert.match(await shown('guests -o wide'), /UUID +BRIDGES +LABELS +NOTE/);
    assert.match(await shown('hosts -o wide'), /PROCESSOR +VERSION +HYPERVISORS/);
    assert.match(await shown('migrations -o wide'), /DONE +SENT +REPORTED BY +NOTE/);
    assert.doesNotMatch(await shown('guests -o wide'), /not shown/);
    assert.match(await shown('guests'), /^not shown, for want of room: vcpus,\n {2}machine/m);
  });

  test('lists of migrations are filtered by guest, state and age', async () => {
    const ids = async (line: string): Promise<string[]> =>
      (await said(`migrations -q ${line}`)).split('\n').slice(0, -1);
    assert.deepEqual(await ids(''), [ID, 'm-failed00', 'm-older000']);
    assert.deepEqual(await ids('--state running'), [ID]);
    assert.deepEqual(await ids('--state failed --since 24h'), ['m-failed00']);
    assert.deepEqual(await ids('--guest db'), ['m-older000']);
    assert.deepEqual(await ids('--state failed --limit 1'), ['m-failed00']);
  });
});

describe('flags before the verb', () => {
  test('flags before the verb are read as if they were behind it', async () => {
    assert.equal(await said('--json guests'), await said('guests --json'));
    assert.equal(await said('--agent /x --host=a guests -q'), 'web1\ndb\n');
  });

  test('flags are moved without losing a word, whatever the words are', () => {
    const word = fc.constantFrom('guests', '--json', '--agent', '--lab=x', '-q', '--', 'web1');
    fc.assert(
      fc.property(fc.array(word, { maxLength: 8 }), (argv) => {
        assert.deepEqual(verbFirst(argv).toSorted(), argv.toSorted());
      }),
    );
  });
});

test('a locale without UTF-8 leaves JSON as it is', async () => {
  const json = world();
  json.env['LC_ALL'] = 'POSIX';
  assert.equal(await godwit(json, 'guests --json'), 0);
  assert.equal(json.out.text, await said('guests --json'));
});
