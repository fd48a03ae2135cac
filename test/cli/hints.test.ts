import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { CommanderError } from 'commander';
import { withoutComments } from '../../tools/tidy.ts';
import { parse, words } from './parse-line.ts';

/** The commands that messages, hints, help texts and scripts name: each is one that the command line has. */

const ROOT = path.resolve(import.meta.dirname, '../..');
const SCRIPTS = ['tools/setup.sh', ...globSync('packaging/{*.sh,deb/*}', { cwd: ROOT })];
const FILES = [...globSync('{src,demo}/**/*.ts', { cwd: ROOT }), ...SCRIPTS];

/** In backticks or as a string of its own, and what comes behind `Next: `. */
const NAMED = [
  /`(?:\.\/)?godwit ((?:\$\{[^}]*\}|[^`$])+?)\\?`/g,
  /'\.\/godwit ([^']+)'/g,
  /\bNext: (?:\.\/)?godwit ((?:\$\{[^}]*\}|[^\\\n'`,])+)/g,
];
/** What is signed or hashed, and a version or a verb that is put in: typed by nobody as it stands. */
const NO_COMMAND = /^(?:fleet list 1\b|site secret |wire cache |\$\{)/;

/** Words that stand for a value, and one that they may stand for. */
const VALUES: readonly (readonly [RegExp, string])[] = [
  [/https:\/\/NAME@HOST:PORT/, 'https://a@b:7443'],
  [/\bIP\b/, '10.0.0.2'],
  [/\$\{place\}/, '--controller x1'],
  // What is put behind a word has flags of its own, and is looked at where it is made.
  [/(?<=\w)\$\{[^}]*\}/, ''],
  [/\$\{[^}]*\}|\{\w+\}|\b[A-Z]{2,}\b/, 'x1'],
];

/** Commands of a text as they may be typed. */
function commandsIn(text: string): string[] {
  return NAMED.flatMap((pattern) => [...text.matchAll(pattern)].map(([, line = '']) => line))
    .filter((line) => !NO_COMMAND.test(line))
    .map((line) =>
      VALUES.reduce((now, [word, value]) => now.replaceAll(new RegExp(word, 'g'), value), line),
    );
}

/** Why it cannot be typed; a hint may name a verb, or a flag last, without what they need. */
async function wrongWith(line: string): Promise<string | undefined> {
  try {
    await parse(words(line));
    return undefined;
  } catch (thrown) {
    const shortened = ['missingArgument', 'optionMissingArgument', 'helpDisplayed', 'help'];
    const isShortened =
      thrown instanceof CommanderError && shortened.includes(thrown.code.replace('commander.', ''));
    return isShortened ? undefined : (thrown as Error).message;
  }
}

describe('commands in messages and scripts', () => {
  const named = FILES.flatMap((file) => {
    const text = readFileSync(path.join(ROOT, file), 'utf8');
    const said = file.endsWith('.ts') ? withoutComments(text) : text;
    return commandsIn(said).map((line) => ({ file, line }));
  });

  test('the commands in messages and scripts are many, and of every kind', () => {
    assert.ok(named.length > 100, String(named.length));
    for (const folder of [
      'src/errors',
      'src/cli',
      'src/migration',
      'src/agent',
      'demo',
      'packaging',
    ])
      assert.ok(
        named.some(({ file }) => file.startsWith(folder)),
        folder,
      );
  });

  test('the command line knows the commands in messages and scripts, with their flags', async () => {
    const wrong: string[] = [];
    for (const [line, files] of Map.groupBy(named, (each) => each.line)) {
      const why = await wrongWith(line);
      if (why !== undefined) wrong.push(`${files[0]?.file}: godwit ${line}: ${why}`);
    }
    assert.deepEqual(wrong, []);
  });

  test('a command with an unknown verb or flag would be refused', async () => {
    const text =
      "hint: `See \\`godwit migrat ${id}\\`.`, 'Run `godwit hosts --no-such`, or `godwit pki ishue`.'";
    const lines = commandsIn(text);
    assert.deepEqual(lines, ['migrat x1', 'hosts --no-such', 'pki ishue']);
    for (const line of lines) assert.notEqual(await wrongWith(line), undefined, line);
  });
});
