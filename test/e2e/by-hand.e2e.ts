import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, describe, test } from 'node:test';
import { labDown } from '../../lab/down.ts';
import { openTerminal, type Terminal } from './support/terminal.ts';

/** The commands for the lab that CONTRIBUTING.md lists, typed at a real terminal as the page has them. */

const ROOT = path.resolve(import.meta.dirname, '../..');
const BLOCK_MS = 400_000;

const page = readFileSync(path.join(ROOT, 'CONTRIBUTING.md'), 'utf8');
const byHand = page.slice(
  page.indexOf('\n## The lab by hand\n'),
  page.indexOf('\n## When something'),
);
const blocks = [...byHand.matchAll(/^```\n([^]*?)^```$/gm)].map(([, text = '']) => text);

describe('the blocks of "The lab by hand" in CONTRIBUTING.md', () => {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'godwit-by-hand-'));
  symlinkSync(path.join(ROOT, 'godwit'), path.join(folder, 'godwit'));
  const labs: string[] = [];

  after(async () => {
    // Where a test has failed in the middle of a block.
    for (const lab of labs) await labDown(lab);
    rmSync(folder, { recursive: true, force: true });
  });

  async function atTerminal(use: (terminal: Terminal) => Promise<void>): Promise<void> {
    const lab = `byhand${labs.length}`;
    labs.push(lab);
    // `lab up` takes the lab of a run that was killed for one that is up.
    await labDown(lab);
    const terminal = await openTerminal(folder, { GODWIT_LAB: lab }, BLOCK_MS);
    try {
      await use(terminal);
    } finally {
      await terminal.close();
    }
  }

  test('the two blocks each build a lab and take it down', () => {
    assert.equal(blocks.length, 2);
    for (const block of blocks)
      assert.match(block, /^\.\/godwit lab up\b[^]*\n\.\/godwit lab down\n$/);
  });

  for (const [index, block] of blocks.entries()) {
    const lines = block.trimEnd().split('\n');

    test(`block ${index + 1} works pasted as a whole: no command reads the lines after it`, async () => {
      await atTerminal(async (terminal) => {
        terminal.type(block);
        for (const line of lines) assert.equal(await terminal.exit(), 0, terminal.story(line));
      });
    });

    test(`block ${index + 1} works typed slowly: each line once nothing is under way`, async () => {
      await atTerminal(async (terminal) => {
        for (const line of lines) {
          terminal.type(`${line}\n`);
          assert.equal(await terminal.exit(), 0, terminal.story(line));
          if (!line.includes('--detach')) continue;
          // Whoever is slow comes to the next line when this migration has ended.
          const idle = `until ./godwit watch | grep -q 'no migration is under way'; do :; done`;
          terminal.type(`${idle}\n`);
          assert.equal(await terminal.exit(), 0, terminal.story(idle));
        }
      });
    });
  }

  test('the next step that a lab prints works, each step as it is printed', async () => {
    await atTerminal(async (terminal) => {
      let line = 'lab up';
      const typed: string[] = [];
      for (;;) {
        typed.push(line);
        const before = terminal.text().length;
        terminal.type(`./godwit ${line}\n`);
        assert.equal(await terminal.exit(), 0, terminal.story(line));
        const next = /^Next: godwit (.+?)\r?$/m.exec(terminal.text().slice(before))?.[1];
        if (next === undefined) break;
        line = next;
      }
      assert.deepEqual(typed, ['lab up', 'lab guest web1 --host a', 'migrate web1 --to b']);
      terminal.type('./godwit lab down\n');
      assert.equal(await terminal.exit(), 0, terminal.story('lab down'));
    });
  });
});
