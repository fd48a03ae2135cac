import assert from 'node:assert/strict';
import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { spawnPager } from '../../../../src/drivers/criu/pages/pager-client.ts';
import { becomes, PAGES, place, prepare, run, skip, waits } from './place.ts';

// What a pager does where its host has no room: on its disk, for processes, for descriptors.

prepare();

test(
  'the changes of a process take little room, however many there were, and the next pager reads them',
  { skip },
  async (t) => {
    const here = await place(t);
    for (const _ of [1, 2]) assert.equal(await here.ask('wear 4'), 'done');
    const { size } = await stat(path.join(here.images, 'pager.journal'));
    assert.ok(size < 300 * 1024, `${size} bytes`);
    process.kill(here.pagers[0] ?? 0, 'SIGKILL');
    await becomes('another one has begun', () => here.pagers.length === 2);
    await here.bring(4);
    await here.bring(5);
    assert.equal(await here.ask('read 4'), '0 0');
    assert.equal(await here.ask('read 5'), '6 0');
  },
);

test(
  'a full disk makes its process wait until there is room again',
  { skip: mayMount() },
  async (t) => {
    const make = async (images: string): Promise<void> => {
      await mkdir(images);
      await run('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', images]);
    };
    const here = await place(t, { make });
    t.after(() => run('umount', ['-l', here.images]));
    const filler = path.join(here.images, 'filler');
    await writeFile(filler, Buffer.alloc(2 ** 20)).catch(() => undefined);
    const answer = here.ask('wear 4');
    await becomes('it is said', () => here.waits !== undefined);
    assert.match(here.waits ?? '', /no room/);
    // A pager that is killed has left nothing unwritten, and the next one begins on the full disk.
    process.kill(here.pagers[0] ?? 0, 'SIGKILL');
    await becomes('another one waits', () => here.pagers.length === 2 && here.waits !== undefined);
    await waits(answer, 'nothing can be written down');
    await here.bring(5);
    await rm(filler);
    assert.equal(await answer, 'done');
    assert.equal(await here.ask('read 5'), '6 0');
    assert.equal(await here.ask('read 4'), '0 0');
    assert.equal(here.lost, undefined);
  },
);

test(
  'a pager that cannot be started is tried again, and its process waits',
  { skip },
  async (t) => {
    let isFull = false;
    const spawning: typeof spawnPager = (...given) => {
      if (isFull) throw new Error('spawn EAGAIN');
      return spawnPager(...given);
    };
    const here = await place(t, { spawning });
    const answer = here.ask('read 3');
    await becomes('page 3 is wanted', () => here.wants.includes(3));
    isFull = true;
    process.kill(here.pagers[0] ?? 0, 'SIGKILL');
    await becomes('it is said', () => here.waits !== undefined);
    assert.match(here.waits ?? '', /no pager can be begun: spawn EAGAIN/);
    await here.bring(3);
    await waits(answer, 'nobody gives it page 3');
    isFull = false;
    assert.equal(await answer, '4 0');
    await becomes('it waits no more', () => here.waits === undefined);
    assert.equal(here.lost, undefined);
  },
);

test('ended children are released while no page comes', { skip }, async (t) => {
  const here = await place(t);
  assert.equal(await here.ask('breed 0'), 'done');
  const held = await heldBy(here.pagers[0] ?? 0);
  assert.ok(held < 140, `${held} descriptors`);
  await here.bring(0, PAGES);
  await becomes('all is there', () => here.isAll);
});

test('a pager at its limit of open files makes the next child wait', { skip }, async (t) => {
  const here = await place(t);
  const [pager = 0] = here.pagers;
  await run('prlimit', ['--pid', String(pager), '--nofile=1020:1020']);
  const answer = here.ask('crowd 0');
  await becomes('it is said', () => here.waits !== undefined);
  assert.match(here.waits ?? '', /no more files/);
  await waits(answer, 'no child more');
  const children = `/proc/${here.child}/task/${here.child}/children`;
  const made = (await readFile(children, 'utf8')).trim().split(' ');
  for (const pid of made) process.kill(Number(pid), 'SIGKILL');
  await becomes('more of them', async () => {
    const now = (await readFile(children, 'utf8')).trim().split(' ');
    return now.length > made.length;
  });
  assert.equal(here.lost, undefined);
  assert.deepEqual(here.pagers, [pager], 'it is the same pager');
});

function mayMount(): string | false {
  return skip !== false || process.getuid?.() === 0 ? skip : 'only root mounts';
}

/** Its descriptors. */
async function heldBy(pid: number): Promise<number> {
  return (await readdir(`/proc/${pid}/fd`)).length;
}
