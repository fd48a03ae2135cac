import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { appendFile, mkdir, mkdtemp, open, readFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { PagerClient, type spawnPager } from '../../../../src/drivers/criu/pages/pager-client.ts';
import { replay } from '../../../../src/drivers/criu/pager/journal.ts';
import { close, openUserfaultfd } from '../../../../src/drivers/criu/pager/kernel.ts';
import { pagersIn } from '../../../../src/drivers/criu/pager/one-pager.ts';
import { cameFile } from '../../../../src/drivers/criu/pager/pages.ts';
import { removeTree } from '../../../../src/system/files/remove-tree.ts';
import { until } from '../../../until.ts';
import { PAGE, writeImages } from './images.ts';

/** A process of a few pages whose memory comes later, and its pager. */

export const run = promisify(execFile);
const SOURCE = fileURLToPath(new URL('toucher.c', import.meta.url));
export const PAGES = 16;
/** Long enough for a page of zeros to be read, were there one. */
const WAITS_MS = 300;

let directory = '';
/** To be called by each file of tests. */
export function prepare(): void {
  before(async () => {
    directory = await mkdtemp(path.join(os.tmpdir(), 'godwit-pager-'));
    const program = path.join(directory, 'toucher');
    await run('cc', ['-O2', '-Wall', '-Wextra', '-Werror', '-o', program, SOURCE]);
  });
  after(() => removeTree(directory));
}

export const skip = whyNot();
function whyNot(): string | false {
  try {
    close(openUserfaultfd());
    return false;
  } catch (error) {
    return `no userfaultfd here: ${String(error)}`;
  }
}

export interface Place {
  readonly client: PagerClient;
  readonly images: string;
  readonly wants: number[];
  /** In the order in which they began. */
  readonly pagers: number[];
  lost: string | undefined;
  /** What its pager waits for, or who begins one. */
  waits: string | undefined;
  /** The process whose memory comes. */
  readonly child: number;
  isAll: boolean;
  /** A line for the process whose memory comes; its answer. */
  ask(line: string): Promise<string>;
  /** Brings a page, each byte of which is its number plus one. */
  bring(page: number, count?: number): Promise<void>;
  keepers(): Promise<number[]>;
  /** Entries of the pager's journal, in its place. */
  write(...entries: readonly object[]): Promise<void>;
  /** Whether its journal has an entry of that kind. */
  hasWritten(what: string): Promise<boolean>;
}

let places = 0;
interface Settings {
  /** Makes the directory of its images. */
  readonly make?: (images: string) => Promise<unknown>;
  readonly spawning?: typeof spawnPager;
}

export async function place(
  t: TestContext,
  { make = mkdir, spawning }: Settings = {},
): Promise<Place> {
  places += 1;
  const images = path.join(directory, String(places));
  await make(images);
  await writeImages(images, PAGES);
  const pages = await open(path.join(images, 'pages-1.img'), 'r+');
  const map = await open(cameFile(images, 1), 'r+');
  const wants: number[] = [];
  const listener = {
    wants: (_file: number, page: number) => void wants.push(page),
    all: () => {
      made.isAll = true;
    },
    waits: (reason: string | undefined) => {
      made.waits = reason;
    },
    lost: (reason: string) => {
      made.lost = reason;
    },
  };
  const client = new PagerClient(images, listener, spawning);
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
    get pagers() {
      return pagersIn(readFileSync(path.join(images, 'pagers'), 'utf8')).map(({ pid }) => pid);
    },
    child: child.pid ?? 0,
    waits: undefined,
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
    hasWritten: async (what) => (await journal()).includes(`"${what}"`),
    keepers: async () => replay(await journal(), () => []).keepers.map(({ pid }) => pid),
    write: async (...entries) =>
      appendFile(
        path.join(images, 'pager.journal'),
        entries.map((each) => `${JSON.stringify(each)}\n`).join(''),
      ),
  };
  t.after(async () => {
    child.kill('SIGKILL');
    await client.end();
    await pages.close();
    await map.close();
  });
  return made;
}

export function becomes(what: string, look: () => boolean | Promise<boolean>): Promise<true> {
  return until(what, 20_000, async () => ((await look()) ? true : undefined));
}

export async function waits(answer: Promise<string>, what: string): Promise<void> {
  const first = await Promise.race([answer, sleep(WAITS_MS, 'waits')]);
  assert.equal(first, 'waits', what);
}
