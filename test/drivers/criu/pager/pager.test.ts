import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { test } from 'node:test';
import { PagerClient, spawnPager } from '../../../../src/drivers/criu/pages/pager-client.ts';
import { startTicksOf } from '../../../../src/system/processes/process.ts';
import { becomes, PAGES, place, prepare, skip, waits } from './place.ts';

prepare();

test(
  'a process waits for a page that it touches, and reads the received content',
  { skip },
  async (t) => {
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
  },
);

test('pages of several mappings that come at once are all delivered', { skip }, async (t) => {
  const here = await place(t);
  await here.bring(0, PAGES);
  await becomes('all is there', () => here.isAll);
  for (let page = 0; page < PAGES; page += 1)
    assert.equal(await here.ask(`read ${page}`), `${page + 1} 0`);
});

test(
  'a pager that is killed leaves its process waiting, and another one continues',
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

test(
  'pages that came before a pager was killed are delivered by the next one',
  { skip },
  async (t) => {
    const here = await place(t);
    const [first = 0] = here.pagers;
    process.kill(first, 'SIGSTOP');
    await here.bring(7);
    process.kill(first, 'SIGKILL');
    await becomes('another one has begun', () => here.pagers.length === 2);
    assert.equal(await here.ask('read 7'), '8 0');
  },
);

test(
  'a keeper that is killed is started again, and its process keeps waiting',
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

test('keepers that are asked to end keep running, and so does their pager', { skip }, async (t) => {
  const here = await place(t);
  const before = await here.keepers();
  for (const pid of before) process.kill(pid, 'SIGTERM');
  const answer = here.ask('read 2');
  await becomes('page 2 is wanted', () => here.wants.includes(2));
  assert.deepEqual(await here.keepers(), before);
  process.kill(here.pagers[0] ?? 0, 'SIGKILL');
  await becomes('another one has begun', () => here.pagers.length === 2);
  await here.bring(2);
  assert.equal(await answer, '3 0');
  assert.equal(here.pagers.length, 2);
});

test('a process is reported lost if no holder of its memory is left', { skip }, async (t) => {
  const here = await place(t);
  const [first = 0] = here.pagers;
  process.kill(first, 'SIGSTOP');
  for (const pid of await here.keepers()) process.kill(pid, 'SIGKILL');
  process.kill(first, 'SIGKILL');
  await becomes('it is said', () => here.lost !== undefined);
  assert.match(here.lost ?? '', /nobody held/);
});

test(
  'freed memory stays zero, and moved memory comes to its new place, even after a pager was killed',
  { skip },
  async (t) => {
    const here = await place(t);
    assert.equal(await here.ask('drop 4'), 'done');
    assert.equal(await here.ask('move 6'), 'done');
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
  'a forked child waits as well, even when the pager is killed meanwhile',
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

test(
  'keepers end when their pager ends with all memory there, including unrecorded keepers',
  { skip },
  async (t) => {
    const here = await place(t);
    const [pager = 0] = here.pagers;
    const keepers = await here.keepers();
    assert.equal(keepers.length, 2);
    process.kill(pager, 'SIGSTOP');
    const [known = 0] = keepers;
    const left = { keepers: [{ pid: known, startTicks: startTicksOf(known) }] };
    await here.write(left, { all: true });
    process.kill(pager, 'SIGKILL');
    await becomes('all is there', () => here.isAll);
    await becomes('the keepers end', () => !keepers.some(lives));
    // Nobody holds its userfaultfd: it waits for nothing, and lives, though that is its working directory.
    assert.equal(await here.ask('read 3'), '0 0');
  },
);

test('a keeper that cannot deliver everything is skipped for another one', { skip }, async (t) => {
  const here = await place(t);
  const other = spawn('sleep', ['60']);
  t.after(() => other.kill('SIGKILL'));
  const answer = here.ask('read 3');
  await becomes('page 3 is wanted', () => here.wants.includes(3));
  const [pager = 0] = here.pagers;
  process.kill(pager, 'SIGSTOP');
  const [known = 0] = await here.keepers();
  const all = [other.pid ?? 0, known, other.pid ?? 0];
  await here.write({ keepers: all.map((pid) => ({ pid, startTicks: startTicksOf(pid) ?? 0 })) });
  process.kill(pager, 'SIGKILL');
  await becomes('another one has begun', () => here.pagers.length === 2);
  await here.bring(3);
  assert.equal(await answer, '4 0');
  assert.equal(here.lost, undefined);
});

test('one of several replacement pagers that start at once stays', { skip }, async (t) => {
  const here = await place(t);
  const answer = here.ask('read 3');
  await becomes('page 3 is wanted', () => here.wants.includes(3));
  here.client.close();
  process.kill(here.pagers[0] ?? 0, 'SIGKILL');
  const begun = [1, 2, 3].map(() => spawnPager(here.images, { again: true }, 2).pid ?? 0);
  await becomes('each has written down its name', () => here.pagers.length === 4);
  await becomes(
    'the last one is left',
    () => begun.filter(lives).length === 1 && lives(here.pagers.at(-1) ?? 0),
  );
  const next = new PagerClient(here.images, {
    wants: () => {},
    all: () => {},
    waits: () => {},
    lost: (reason) => {
      here.lost = reason;
    },
  });
  t.after(() => next.end());
  await next.attach();
  await here.bring(3);
  next.came(1, 3, 1);
  assert.equal(await answer, '4 0');
  assert.equal(here.lost, undefined);
});

function lives(pid: number): boolean {
  return startTicksOf(pid) !== undefined;
}
