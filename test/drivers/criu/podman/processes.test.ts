import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import {
  readConmon,
  ended,
  isCallWith,
  isConmonBy,
  readParents,
  strangersTo,
} from '../../../../src/drivers/criu/podman/processes.ts';

const ID = '9e88348ee1ea227d3114bf184d3a16c6394cc218d42657af8f1070b2370cd078';
const CONMON = ['/usr/bin/conmon', '-c', ID, '-u', ID, '-r', '/s/oci-runtime', '-n', 'web'];

test('conmon names the container that it looks after', () => {
  assert.deepEqual(readConmon(CONMON), { id: ID, name: 'web' });
  assert.deepEqual(readConmon(['conmon', '--cid', ID, '--name', 'web']), { id: ID, name: 'web' });
  assert.equal(readConmon([...CONMON, '--exec']), undefined, 'a session of podman exec');
  assert.equal(readConmon(['/bin/sh', ...CONMON.slice(1)]), undefined);
  assert.equal(readConmon(['conmon', '-c']), undefined);
  assert.equal(readConmon([]), undefined);
});

test('conmon is found by its stand-in, and a podman call is not taken for conmon', () => {
  assert.ok(isConmonBy(ID, '/s/oci-runtime')(CONMON));
  assert.ok(!isConmonBy(ID, '/other/oci-runtime')(CONMON));
  assert.ok(!isConmonBy(ID.replace('9', '8'), '/s/oci-runtime')(CONMON));
  const isCall = isCallWith(['/s/oci-runtime', '/s/lease']);
  assert.ok(!isCall(CONMON));
  assert.ok(isCall(['/bin/sh', '/s/oci-runtime', 'restore']));
  assert.ok(isCall(['head', '-n', '1', '/s/lease']));
  assert.ok(!isCall(['head', '-n', '1', '/s/lease2']));
});

test('a process that does not end by itself is killed', async () => {
  const mark = `godwit-test-${process.pid}`;
  const child = spawn('sh', ['-c', 'trap "" TERM; sleep 600 & wait', mark], { stdio: 'ignore' });
  const gone = once(child, 'exit');
  await ended((words) => words.includes(mark), { byItselfMs: 0, mostMs: 10_000 });
  assert.deepEqual((await gone).slice(1), ['SIGKILL']);
  await ended((words) => words.includes(mark), { byItselfMs: 0, mostMs: 0 });
});

test('a process that does not descend from the first one is a stranger', () => {
  const parents = new Map([
    [10, 1],
    [11, 10],
    [12, 11],
    [20, 2],
    [21, 20],
  ]);
  assert.deepEqual(strangersTo(10, parents), [20, 21]);
  assert.deepEqual(
    strangersTo(
      10,
      new Map([
        [5, 6],
        [6, 5],
      ]),
    ),
    [5, 6],
    'a circle ends',
  );
  assert.deepEqual(strangersTo(10, new Map()), []);
  assert.equal(readParents([process.pid]).get(process.pid), process.ppid);
});
