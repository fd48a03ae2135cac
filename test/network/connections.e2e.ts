import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import path from 'node:path';
import { before, describe, test } from 'node:test';
import { promisify } from 'node:util';

const run = promisify(execFile);
const OURS = process.getuid?.() === 0 ? false : 'a macvtap’s file belongs to root';

/** One guest with an open connection, on hosts whose bridges drop what they do not know. */
interface Story {
  /** What the source makes of the guest's NIC. */
  readonly addresses: string[];
  readonly put: number;
  readonly answered: Record<string, boolean>;
  readonly dropped: Record<string, boolean>;
  /** Entries of the guest, by host. */
  readonly left: Record<string, number>;
}

/**
 * In namespaces of its own, which go away with the process: nothing can be left behind. As root itself: where another
 * namespace has the file of a macvtap of that number under /dev, one is made, which a mapped root may not.
 */
async function report(how: 'handed-over' | 'left'): Promise<Story> {
  const steps = path.join(import.meta.dirname, 'connections-steps.ts');
  const argv = ['--net', '--mount', process.execPath, steps, how];
  const { stdout } = await run('unshare', argv);
  return JSON.parse(stdout) as Story;
}

describe('a guest behind stateful filters', { skip: OURS }, () => {
  let story: Story;
  before(async () => {
    story = await report('handed-over');
  });

  test('a guest behind stateful filters is identified by its answering addresses', () => {
    assert.deepEqual(story.addresses.toSorted(), ['10.9.0.21', 'fd09::21']);
  });

  test('a guest behind stateful filters keeps its connections on a host that receives them', () => {
    assert.equal(story.answered['v4 at b'], true);
    assert.equal(story.answered['v6 at b'], true);
    assert.equal(story.put, 2);
  });

  test('a guest behind stateful filters keeps its connections on its return, despite older entries', () => {
    assert.equal(story.answered['v4 at a again'], true);
    assert.equal(story.answered['v6 at a again'], true);
  });

  test('a guest that did not arrive after all leaves no connections behind', () => {
    assert.equal(story.left['c'], 0);
  });

  test('a guest loses its connections without a handover, as the filter drops unknown ones', async () => {
    const { answered, dropped } = await report('left');
    assert.deepEqual(answered, { 'v4 at a': true, 'v6 at a': true });
    assert.deepEqual(dropped, { 'v4 at b': true, 'v6 at b': true });
  });
});
