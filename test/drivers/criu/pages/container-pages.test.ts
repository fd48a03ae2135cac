import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test, type TestContext } from 'node:test';
import fc from 'fast-check';
import {
  ContainerPages,
  MAX_PROCESSES,
  TooLarge,
  runWith,
} from '../../../../src/drivers/criu/pages/container-pages.ts';
import { PAGE } from '../../../../src/drivers/criu/pages/memory.ts';

const MIB = 1024 ** 2;
const { signal } = new AbortController();

test('every page of every run is found by its number, and no other', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 50 }), { maxLength: 30 }), (counts) => {
      let first = 0;
      const runs = counts.map((count, of) => {
        const run = { first, count, page: of * 1000, of };
        first += count;
        return run;
      });
      const owners = runs.flatMap(({ count, of }) => Array.from({ length: count }, () => of));
      for (let number = 0; number < first; number += 1)
        assert.equal(runWith(runs, number)?.of, owners[number]);
      assert.equal(runWith(runs, first), undefined);
    }),
  );
});

/** A process that holds so much of one byte. */
async function holding(t: TestContext, byte: number, bytes: number): Promise<number> {
  const script = `const held = Buffer.alloc(${bytes}, ${byte}); process.stdout.write('runs'); process.stdin.on('data', () => held);`;
  const child = spawn(process.execPath, ['-e', script], { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = once(child, 'close');
  t.after(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  await once(child.stdout, 'data');
  return child.pid ?? 0;
}

test('the pages of all processes are read, and an ended process is skipped', async (t) => {
  const pids = [await holding(t, 0xa1, 8 * MIB), await holding(t, 0xb2, 8 * MIB)];
  const pages = new ContainerPages();
  t.after(() => pages.close());
  await pages.add([...pids, 2 ** 30], signal);
  const seen = new Map<number, number>();
  const content = Buffer.alloc(PAGE);
  for (let number = 0; number < pages.count; number += 1) {
    if (pages.state(number) !== 'here' || !pages.read(number, content)) continue;
    const [byte = 0] = content;
    if (content.every((each) => each === byte)) seen.set(byte, (seen.get(byte) ?? 0) + 1);
  }
  // What lies at the edges of the buffer shares its pages.
  for (const byte of [0xa1, 0xb2]) assert.ok((seen.get(byte) ?? 0) >= (8 * MIB) / PAGE - 2);
  assert.equal(pages.state(pages.count), 'away');
});

test('a container with too many processes is refused by their number', async () => {
  const many = Array.from({ length: MAX_PROCESSES + 1 }, () => process.pid);
  await assert.rejects(new ContainerPages().add(many, signal), TooLarge);
});
