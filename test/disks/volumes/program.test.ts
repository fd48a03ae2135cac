import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ProgramError, runProgram } from '../../../src/disks/volumes/program.ts';

const soon = (): AbortSignal => AbortSignal.timeout(30_000);

async function failure(work: Promise<string>): Promise<ProgramError> {
  return work.then(
    (said) => assert.fail(`it said ${said}`),
    (thrown: unknown) => {
      assert.ok(thrown instanceof ProgramError, String(thrown));
      return thrown;
    },
  );
}

describe('a program', () => {
  test('a program gets its arguments unchanged, and no shell reads them', async () => {
    const words = ['%s|', '$(id)', "a'b", '; true', '*'];
    assert.equal(await runProgram('printf', words, 5000, soon()), "$(id)|a'b|; true|*|");
  });

  test('a missing program is recognized', async () => {
    const error = await failure(runProgram('godwit-no-such-program', ['x'], 5000, soon()));
    assert.ok(error.isMissing);
  });

  test('a failed program is reported with its last line', async () => {
    const error = await failure(
      runProgram('sh', ['-c', 'echo one >&2; echo "  two" >&2; exit 3'], 5000, soon()),
    );
    assert.equal(error.message, '`sh -c`: two');
    assert.equal(error.isMissing, false);
    const silent = await failure(runProgram('sh', ['-c', 'exit 3'], 5000, soon()));
    assert.equal(silent.said, 'it ended with 3');
  });

  test('a program that does not end is given up after its time, and one that writes without end at once', async () => {
    const error = await failure(runProgram('sleep', ['600'], 50, soon()));
    assert.equal(error.said, 'it did not end within 50 ms');
    const loud = await failure(runProgram('yes', [], 20_000, soon()));
    assert.match(loud.said, /ERR_CHILD_PROCESS_STDIO_MAXBUFFER/);
  });

  test("a program ends with its caller's signal", async () => {
    const over = new AbortController();
    const running = runProgram('sleep', ['600'], 20_000, over.signal);
    over.abort(new Error('it is over'));
    await assert.rejects(running, /it is over/);
  });
});
