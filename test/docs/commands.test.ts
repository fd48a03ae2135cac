import assert from 'node:assert/strict';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { agentConfig } from '../../src/config.ts';
import { ERRORS } from '../../src/errors.ts';
import { parse, words } from '../cli/parse-line.ts';

const root = path.resolve(import.meta.dirname, '../..');
const pages = [
  'README.md',
  'CONTRIBUTING.md',
  'ARCHITECTURE.md',
  'demo/README.md',
  'bench/README.md',
  'faults/README.md',
  'examples/client/README.md',
  'hostile/README.md',
  'lab/README.md',
  'meddle/README.md',
  'sim/README.md',
  'src/controller/recover/README.md',
  'src/links/README.md',
  'src/migration/README.md',
  'src/migration/prediction/README.md',
  'src/migration/steering/README.md',
  'src/network/README.md',
  'src/protocol/README.md',
  'src/wire/README.md',
  'src/wire/codec/README.md',
  'src/wire/stream/README.md',
  'test/failures.md',
  'test/model/README.md',
  'tools/gpu-check/README.md',
  ...readdirSync(path.join(root, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.md'))
    .map((file) => `docs/${file}`),
].map((name) => ({ name, text: readFileSync(path.join(root, name), 'utf8') }));

/** The text of each match with the page and the line where it stands. */
function found(pattern: RegExp): { at: string; text: string }[] {
  return pages.flatMap(({ name, text }) =>
    [...text.matchAll(pattern)].map((match) => {
      const line = text.slice(0, match.index).split('\n').length;
      return { at: `${name}:${line}`, text: match[1] ?? '' };
    }),
  );
}

const blocks = found(/^```(?:sh)?\n([\s\S]*?)^```$/gm);
describe('commands on the pages', () => {
  const lines = blocks.flatMap(({ at, text }) =>
    text
      .split('\n')
      .filter((line) => /^(\.\/)?godwit [a-z-]/.test(line))
      // A synopsis, whose words are names of words, is made from the table itself.
      .filter((line) => !/[<[][a-z|-]+[\]>]/.test(line))
      .map((line) => ({ at, line })),
  );

  test('the commands on the pages are many', () =>
    assert.ok(lines.length > 100, String(lines.length)));

  test('the commands on the pages are accepted, with verbs, flags and values', async () => {
    const wrong: string[] = [];
    for (const { at, line } of lines) {
      const argv = words(line.replace(/\b(GUEST|HOST|NAME|ID|FILE|MODE)\b/g, 'x1')).slice(1);
      await parse(argv).catch((error: Error) => wrong.push(`${at}: ${line}: ${error.message}`));
    }
    assert.deepEqual(wrong, []);
  });

  test('a command with an unknown verb, flag or value would be refused', async () => {
    for (const line of ['migrat web1', 'migrate web1 --to b --no-such', 'cache prune --to 5x']) {
      await assert.rejects(parse(words(line)), line);
    }
  });

  test('the npm commands on the pages are scripts of package.json', () => {
    const { scripts } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')) as {
      scripts: Record<string, string>;
    };
    const runs = found(/npm run (?:--silent )?([a-z][a-z0-9:-]*)/g);
    assert.ok(runs.length > 20);
    assert.deepEqual(
      runs.filter(({ text }) => !(text in scripts)),
      [],
    );
  });
});

describe('names on the pages', () => {
  test('every file named on the pages exists', () => {
    const named = found(/`((?:src|lab|test|tools|bench|faults|sim|examples)\/[\w./-]+)`/g);
    assert.ok(named.length > 50);
    const gone = named.filter(({ text }) => !existsSync(path.join(root, text)));
    assert.deepEqual(gone, []);
  });

  test('every error named on the pages is in the error table', () => {
    const variables = new Set(found(/`(GODWIT_[A-Z_]+)(?:=[^`]*)?`/g).map(({ text }) => text));
    const read = readdirSync(path.join(root, 'src'), { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.ts'))
      .map((file) => readFileSync(path.join(root, 'src', file), 'utf8'))
      .join('\n');
    const elsewhere =
      /^GODWIT_(FUZZ_RUNS|HYPERV_MOVES|TEST_RETURNS|SITE_CUTS|RELAY_KILLS|TEST_GPU|TEST_GPU_MIB)$/;
    const unknown = [...variables].filter(
      (name) => !(name in ERRORS) && !read.includes(name) && !elsewhere.test(name),
    );
    assert.deepEqual(unknown, []);
  });

  test('every configuration on the pages is a valid agent configuration', () => {
    const settings = new Set(Object.keys(agentConfig.shape));
    const wrong: string[] = [];
    const shown = found(/^```json\n([\s\S]*?)^```$/gm).flatMap(({ at, text }) => {
      const whole = text.trim().startsWith('{') ? text : `{${text}}`;
      const value = JSON.parse(whole) as Record<string, unknown>;
      return Object.keys(value).every((key) => settings.has(key)) ? [{ at, value }] : [];
    });
    assert.ok(shown.length > 4);
    for (const { at, value } of shown) {
      const { error } = agentConfig.partial().safeParse(value);
      if (error !== undefined) wrong.push(`${at}: ${error.message}`);
    }
    assert.deepEqual(wrong, []);
  });
});
