import assert from 'node:assert/strict';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { stripVTControlCharacters } from 'node:util';
import { width } from '../../src/words/terminal-width.ts';
import { startGuest } from '../../lab/guest/start.ts';
import { startBareGuest } from './support/bare-guest.ts';
import { openTerminal, type Terminal } from './support/terminal.ts';
import { openWorld, SMALL_GUEST, type World } from './support/world.ts';

/** What the command line shows at a real terminal, of several widths and locales. */

const ROOT = path.resolve(import.meta.dirname, '../..');
const SHELL_MS = 300_000;
const GUEST = 'web1-of-the-accounting-office';
const ESCAPE = '\u001b';

describe('at a real terminal', () => {
  let world: World;

  before(async () => {
    world = await openWorld('tty', { hosts: 2 });
    await startGuest(world.lab, { name: GUEST, host: 'a', ...SMALL_GUEST });
    const args = ['-name', 'Büro Server'];
    await startBareGuest(world, { name: 'office', host: 'b', args });
  });
  after(() => world?.close());

  /** What a command line shows; the terminal itself shows nothing of what is typed. */
  async function atTerminal(
    env: Readonly<Record<string, string>>,
    use: (shown: (line: string) => Promise<string>) => Promise<void>,
  ): Promise<void> {
    const all = { GODWIT_LAB: world.lab.name, LANG: 'C.UTF-8', LC_ALL: '', PS1: '', ...env };
    const terminal: Terminal = await openTerminal(ROOT, all, SHELL_MS);
    try {
      terminal.type("PS1=''; set +o emacs +o vi; stty -echo\n");
      await terminal.exit();
      await use(async (line) => {
        const before = terminal.text().length;
        terminal.type(`${line}\n`);
        assert.equal(await terminal.exit(), 0, terminal.story(line));
        return terminal
          .text()
          .slice(before)
          .replaceAll(/<exit \d+>\r?\n/g, '');
      });
    } finally {
      await terminal.close();
    }
  }

  const plain = (text: string): string => stripVTControlCharacters(text).replaceAll('\r', '');

  test('the output of lists, views and a migration fits 60, 80 and 200 columns, with names whole', async () => {
    await atTerminal({}, async (shown) => {
      let [from, to] = ['a', 'b'];
      for (const columns of [60, 80, 200]) {
        await shown(`stty cols ${columns}`);
        const fits = async (line: string): Promise<string> => {
          const text = plain(await shown(line));
          for (const each of text.split('\n'))
            // One word, such as a path, is never broken: it can be copied.
            if (each.trim().includes(' '))
              assert.ok(width(each) <= columns, `${line}, ${columns} columns: ${each}`);
          return text;
        };
        for (const line of ['guests', `guest ${GUEST}`, `migrate ${GUEST} --to ${to} --dry-run`]) {
          assert.ok((await fits(`./godwit ${line}`)).includes(GUEST), line);
        }
        await fits('./godwit hosts');
        const moved = await fits(`./godwit migrate ${GUEST} --to ${to}`);
        assert.ok(moved.includes(`✔ ${GUEST} moved from ${from} to ${to}`), moved);
        assert.ok((await fits('./godwit migrations')).includes(GUEST));
        assert.ok((await fits('./godwit report')).includes('Verified'));
        [from, to] = [to, from];
      }
    });
  });

  test('a guest whose name is invalid for hosts is listed with it', async () => {
    await atTerminal({}, async (shown) => {
      await shown('stty cols 200');
      assert.match(
        plain(await shown('./godwit guests')),
        /^Buro-Server-\w{8} .*calls itself Büro Server/m,
      );
    });
  });

  test('a locale without UTF-8 gets only ASCII, even while a migration is followed', async () => {
    await atTerminal({ LANG: 'C' }, async (shown) => {
      const [from, to] = ['b', 'a'];
      const moved = await shown(`./godwit migrate ${GUEST} --to ${to}`);
      assert.ok(moved.includes(`+${ESCAPE}[39m`), moved);
      assert.ok(moved.includes(`moved from ${from} to ${to}`), moved);
      assert.match(moved, /[#.]{8}/);
      const views = [
        'report',
        'migrations',
        `migrate ${GUEST} --to b --dry-run`,
        `guest ${GUEST}`,
        '--help',
      ];
      const texts = [moved];
      for (const line of views) texts.push(await shown(`./godwit ${line}`));
      for (const text of texts) assert.match(text, /^\p{ASCII}*$/u);
    });
  });

  test('the output has no color under NO_COLOR, and no color, cursor control or cut in a pipe', async () => {
    await atTerminal({ NO_COLOR: '1' }, async (shown) => {
      await shown('stty cols 60');
      assert.ok(!(await shown('./godwit guests')).includes(ESCAPE));
      const piped = await shown(`./godwit guests | cat; ./godwit migrate ${GUEST} --to b | cat`);
      assert.ok(!piped.includes(ESCAPE), piped);
      assert.match(piped, /^GUEST +HOST +STATE +MEMORY +VCPUS +MACHINE +HYPERVISOR +NOTE/m);
      assert.doesNotMatch(piped, /…|not shown/);
      assert.match(piped, /^ *\S+ m?s {2}sending memory\r?$/m);
    });
  });
});
