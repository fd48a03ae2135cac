import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import os from 'node:os';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { pinsOf, readPins } from '../../../../src/drivers/qemu/guest/pins.ts';
import { describeGuest } from '../../../../src/drivers/qemu/spec/describe.ts';
import { commandLine, factsOf } from '../spec/facts.ts';

const status = (processors: string, nodes = '0'): string =>
  `Name:\tqemu\nCpus_allowed:\tff\nCpus_allowed_list:\t${processors}\nMems_allowed_list:\t${nodes}\n`;

describe('threads of a QEMU', () => {
  test('threads that may run wherever this process may are not pinned, even if they may run elsewhere too', () => {
    assert.deepEqual(pinsOf(status('0-3'), [status('0-3'), status('0-7')]), {});
    assert.deepEqual(pinsOf(status('2-3'), [status('0-1,2,3')]), {});
  });

  test('threads that may use fewer processors or nodes than this process are pinned', () => {
    const found = pinsOf(status('0-7', '0-1'), [status('0-7', '0-1'), status('2,4-5', '1')]);
    assert.deepEqual(found, { processors: '2,4-5', nodes: '1' });
  });

  test('threads are pinned exactly if one lacks a processor that this process may use', () => {
    const some = fc.uniqueArray(fc.nat(63), { minLength: 1, maxLength: 16 });
    fc.assert(
      fc.property(some, some, (ours, theirs) => {
        const lacks = ours.some((each) => !theirs.includes(each));
        const { processors } = pinsOf(status(ours.join(',')), [status(theirs.join(','))]);
        assert.equal(processors !== undefined, lacks);
      }),
    );
  });

  test('threads whose affinity cannot be read are not reported as pinned', async () => {
    assert.deepEqual(pinsOf('', [status('0')]), {});
    assert.deepEqual(pinsOf(status('0-3'), ['']), {});
    assert.deepEqual(await readPins(2 ** 30), {});
  });
});

test('a process that taskset pinned is reported as pinned', async (t) => {
  const free = spawn('sleep', ['60']);
  t.after(() => free.kill('SIGKILL'));
  await once(free, 'spawn');
  assert.deepEqual(await readPins(free.pid ?? 0), {});
  const inner =
    'exec taskset -c "$(taskset -cp $$ | sed "s/.*: //; s/[-,].*//")" sh -c "echo on; exec sleep 60"';
  const pinned = spawn('sh', ['-c', inner], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(() => pinned.kill('SIGKILL'));
  await once(pinned.stdout, 'data');
  const { processors } = await readPins(pinned.pid ?? 0);
  const usable = os.availableParallelism();
  if (usable > 1) assert.match(processors ?? '', /^\d+$/);
});

test('a warning for a pinned guest names the resources that only its host gives it', () => {
  const facts = factsOf(commandLine('-machine pc-q35-7.2 -m 512M'));
  const kinds = (pins: object): (string | undefined)[] =>
    describeGuest({ ...facts, pins })
      .findings.filter(({ type }) => type === 'pins')
      .map(({ kind, device, reason }) => `${kind} ${device} ${reason}`);
  assert.deepEqual(kinds({}), []);
  assert.deepEqual(kinds({ processors: '2,4-5', nodes: '1' }), [
    'changed processors are those that QEMU is kept to here (2,4-5), and not there',
    'changed memory nodes are those that QEMU is kept to here (1), and not there',
  ]);
});
