import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { godwitError } from '../../../src/errors.ts';
import type { Report } from '../../../src/protocol/public/migration.ts';
import { endpoint, FakeContext, godwit, ID, progress, report } from '../fake.ts';

const LINE = 'migrate web1 --to b --verify-disks';
const figures = { comparedBytes: 9, excludedBytes: 1, differentBytes: 0, tookMs: 5 };

function ending(diskCheck: Report['diskCheck']): { context: FakeContext; asked: unknown[] } {
  const asked: unknown[] = [];
  const context = new FakeContext(
    endpoint('a', {
      migrate: async ({ body }) => {
        asked.push(body.verifyDisks);
        return { id: ID };
      },
      async *events() {
        yield progress('done');
      },
      report: async () => report({ diskCheck }),
    }),
  );
  return { context, asked };
}

describe('godwit migrate --verify-disks', () => {
  test('--verify-disks requests the comparison, and the result is reported', async () => {
    const { context, asked } = ending({ verdict: 'equal', ...figures });
    assert.equal(await godwit(context, LINE), 0);
    assert.deepEqual(asked, [true]);
    assert.match(context.out.text, /compared with the source +equal, 9 B the same/);
  });

  test('the exit code is an error if the disks differ, although the guest has moved', async () => {
    const facts = { guest: 'web1', device: 'disk0', host: 'b', at: 65_536 };
    const error = godwitError('GODWIT_DISK_DIFFERS', facts).toJSON();
    const { context } = ending({ verdict: 'different', ...figures, differentBytes: 2, error });
    assert.equal(await godwit(context, LINE), 5);
    assert.match(context.out.text, /2 B not the same/);
    assert.match(
      context.err.text,
      /of web1 at b differs from the source's disk .* first at byte 65536/,
    );
  });

  test('the exit code is an error if the disks could not be compared', async () => {
    const facts = { guest: 'web1', host: 'b', reason: 'it took too long' };
    const error = godwitError('GODWIT_DISK_UNVERIFIED', facts).toJSON();
    const { context } = ending({ verdict: 'unverified', ...figures, error });
    assert.equal(await godwit(context, LINE), 5);
    assert.match(context.err.text, /could not be compared: it took too long/);
  });
});
