import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, open, readFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, test } from 'node:test';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { PagerClient } from '../../../../src/drivers/criu/pager-client.ts';
import { replay } from '../../../../src/drivers/criu/pager/journal.ts';
import { openUserfaultfd, close } from '../../../../src/drivers/criu/pager/kernel.ts';
import { cameFile } from '../../../../src/drivers/criu/pager/pages.ts';
import { removeTree } from '../../../../src/host/remove-tree.ts';
import { until } from '../../../until.ts';
import { PAGE, writeImages } from './images.ts';

const run = promisify(execFile);
const SOURCE = fileURLToPath(new URL('toucher.c', import.meta.url));
const PAGES = 16;
/** Long enough for a page of zeros to be read, were there one. */
const WAITS_MS = 300;

let directory = '';
before(async () => {
  directory = await mkdtemp(path.join(os.tmpdir(), 'godwit-pager-'));
  await run('cc', [
    '-O2',
    '-Wall',
    '-Wextra',
    '-Werror',
    '-o',
    path.join(directory, 'toucher'),
    SOURCE,
  ]);
});
after(() => removeTree(directory));

const skip = whyNot();
function whyNot(): string | false {
  try {
    close(openUserfaultfd());
    return false;
  } catch (error) {
    return `no userfaultfd here: ${String(error)}`;
  }
}

interface Place {
  readonly client: PagerClient;
  readonly images: string;
  readonly wants: number[];
  readonly pagers: number[];
  lost: string | undefined;
  isAll: boolean;
  /** A line for the process whose memory comes; its answer. */
  ask(line: string): Promise<string>;
  /** Brings a page, each byte of which is its number plus one. */
  bring(page: number, count?: number): Promise<void>;
  keepers(): Promise<number[]>;
  /** No message is being read, and such a one was. */
  hasWritten(what: string): Promise<boolean>;
}

let places = 0;
async function place(t: TestContext): Promise<Place> {
  places += 1;
  const images = path.join(directory, String(places));
  await mkdir(images);
  await writeImages(images, PAGES);
  const pages = await open(path.join(images, 'pages-1.img'), 'r+');
  const map = await open(cameFile(images, 1), 'r+');
  const wants: number[] = [];
  const pagers: number[] = [];
  const client = new PagerClient(images, {
    begun: async ({ pid }) => void pagers.push(pid),
    wants: (_file, page) => wants.push(page),
    all: () => {
      made.isAll = true;
    },
    lost: (reason) => {
      made.lost = reason;
    },
  });
  await client.begin();
  const child = spawn(path.join(directory, 'toucher'), [String(PAGES)], {
    cwd: images,
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const lines = createInterface({ input: child.stdout });
  assert.deepEqual(await once(lines, 'line'), ['ready']);
  const journal = async (): Promise<string> => readFile(path.join(images, 'pager.journal'), 'utf8');
  await becomes('the pager has all', async () => (await journal()).includes('restored'));
  client.restored();
  const made: Place = {
    client,
    images,
    wants,
    pagers,
    lost: undefined,
    isAll: false,
    ask: async (line) => {
      child.stdin.write(`${line}\n`);
      const [said] = (await once(lines, 'line')) as [string];
      return said;
    },
    bring: async (first, count = 1) => {
      for (let page = first; page < first + count; page += 1)
        await pages.write(Buffer.alloc(PAGE, page + 1), 0, PAGE, page * PAGE);
      await map.write(Buffer.alloc(count, 1), 0, count, first);
      client.came(1, first, count);
    },
    hasWritten: async (what) => {
      const reading = await readFile(path.join(images, 'pager.reading'), 'latin1');
      return (await journal()).includes(`"${what}"`) && reading !== '1';
    },
    keepers: async () => replay(await journal(), () => []).keepers.map(({ pid }) => pid),
  };
  t.after(async () => {
    child.kill('SIGKILL');
    await client.end(undefined);
    await pages.close();
    await map.close();
  });
  return made;
}

function becomes(what: string, look: () => boolean | Promise<boolean>): Promise<true> {
  return until(what, 20_000, async () => ((await look()) ? true : undefined));
}

async function waits(answer: Promise<string>, what: string): Promise<void> {
  const first = await Promise.race([answer, sleep(WAITS_MS, 'waits')]);
  assert.equal(first, 'waits', what);
}

test('a process waits for a page that it touches, and reads what came', { skip }, async (t) => {
  const here = await place(t);
  const answer = here.ask('read 3');
  await becomes('page 3 is wanted', () => here.wants.includes(3));
  await waits(answer, 'no page has come');
  await here.bring(3);
  assert.equal(await answer, '4 0');
  for (let page = 0; page < PAGES; page += 1) if (page !== 3) await here.bring(page);
  await becomes('all is there', () => here.isAll);
  for (let page = 0; page < PAGES; page += 1)
    assert.equal(await here.ask(`read ${page}`), `${page + 1} 0`);
});

test('pages of several mappings that come at once are all given', { skip }, async (t) => {
  const here = await place(t);
  await here.bring(0, PAGES);
  await becomes('all is there', () => here.isAll);
  for (let page = 0; page < PAGES; page += 1)
    assert.equal(await here.ask(`read ${page}`), `${page + 1} 0`);
});

test(
  'a pager that is killed leaves its process waiting, and another one goes on',
  { skip },
  async (t) => {
    const here = await place(t);
    await here.bring(1);
    const answer = here.ask('read 5');
    await becomes('page 5 is wanted', () => here.wants.includes(5));
    const [first = 0] = here.pagers;
    process.kill(first, 'SIGKILL');
    await becomes('another one has begun', () => here.pagers.length === 2);
    await waits(answer, 'page 5 has not come');
    await here.bring(5);
    assert.equal(await answer, '6 0');
    assert.equal(await here.ask('read 1'), '2 0');
  },
);

test('pages that came before a pager was killed are given by the next one', { skip }, async (t) => {
  const here = await place(t);
  const [first = 0] = here.pagers;
  process.kill(first, 'SIGSTOP');
  await here.bring(7);
  process.kill(first, 'SIGKILL');
  await becomes('another one has begun', () => here.pagers.length === 2);
  assert.equal(await here.ask('read 7'), '8 0');
});

test(
  'a keeper that is killed is begun anew, and its process goes on waiting',
  { skip },
  async (t) => {
    const here = await place(t);
    const before = await here.keepers();
    const answer = here.ask('read 2');
    for (const pid of before) process.kill(pid, 'SIGKILL');
    await becomes('new ones', async () =>
      (await here.keepers()).every((pid) => !before.includes(pid)),
    );
    const [first = 0] = here.pagers;
    process.kill(first, 'SIGKILL');
    await waits(answer, 'page 2 has not come');
    await here.bring(2);
    await becomes('another one has begun', () => here.pagers.length === 2);
    assert.equal(await answer, '3 0');
  },
);

test(
  'where nobody is left who holds its memory, the process is said to be lost',
  { skip },
  async (t) => {
    const here = await place(t);
    const [first = 0] = here.pagers;
    process.kill(first, 'SIGSTOP');
    for (const pid of await here.keepers()) process.kill(pid, 'SIGKILL');
    process.kill(first, 'SIGKILL');
    await becomes('it is said', () => here.lost !== undefined);
    assert.match(here.lost ?? '', /nobody held/);
  },
);

test(
  'what a process gave up stays zeros, and what it moved comes to its new place, also after a pager was killed',
  { skip },
  async (t) => {
    const here = await place(t);
    assert.equal(await here.ask('drop 4'), 'done');
    assert.equal(await here.ask('move 6'), 'done');
    // Where it is killed before it has written that down, the process is lost.
    await becomes('it is written down', () => here.hasWritten('move'));
    const [first = 0] = here.pagers;
    process.kill(first, 'SIGKILL');
    await becomes('another one has begun', () => here.pagers.length === 2);
    await here.bring(4);
    await here.bring(6);
    assert.equal(await here.ask('read 4'), '0 0');
    assert.equal(await here.ask('read 6'), '7 0');
  },
);

test(
  'a child that was forked waits as well, also when the pager is killed meanwhile',
  { skip },
  async (t) => {
    const here = await place(t);
    const answer = here.ask('fork 9');
    await becomes('page 9 is wanted', () => here.wants.includes(9));
    const [first = 0] = here.pagers;
    process.kill(first, 'SIGKILL');
    await becomes('another one has begun', () => here.pagers.length === 2);
    await waits(answer, 'page 9 has not come');
    await here.bring(9);
    assert.equal(await answer, '10 0');
    assert.equal(await here.ask('read 9'), '10 0');
  },
);
