import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { parseAgentConfig } from '../../src/config.ts';
import { fenceOf, fencingMs, type Fence, type Fencing } from '../../src/host/fencing.ts';
import { Fleet } from '../../src/host/fleet.ts';
import type { DarkWatchIo } from '../../src/host/watch-dark-host.ts';
import { gone } from '../process-end.ts';
import { fakeDarkWatchIo, OTHER, REFUSED, SILENCE } from './dark-watch-io.ts';

const addresses = ['10.0.0.2:7400'];
const facts = { id: 'm-1', guest: 'web1', side: 'destination', addresses } as const;
const never = new AbortController().signal;

/** In front of a host that is dark, unless told otherwise. */
function hook(
  t: TestContext,
  script: string,
  timeoutMs = 20_000,
  io: DarkWatchIo = fakeDarkWatchIo(() => SILENCE),
): { fence: Fence; dir: string } {
  const dir = mkdtempSync(path.join(tmpdir(), 'godwit-fence-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const file = path.join(dir, 'fence');
  writeFileSync(file, `#!/bin/sh\n${script}\n`);
  chmodSync(file, 0o755);
  const fencing = { command: [file, 'first'], timeoutMs };
  const peers = {
    b: { address: '10.0.0.2:7400', addresses: ['10.1.0.2:7400'] },
    c: { address: OTHER },
  };
  const config = { name: 'a', address: '127.0.0.1:1', stateDir: dir, peers, fencing };
  const parsed = parseAgentConfig('agent.json', JSON.stringify(config));
  const fence = fenceOf(parsed, new Fleet(parsed), io);
  assert.ok(fence !== undefined);
  return { fence, dir };
}

function why(fencing: Fencing): string {
  assert.equal(fencing.off, false);
  return fencing.off ? '' : fencing.why;
}

describe('the fencing hook', () => {
  test("the fencing hook is called with its arguments and then the other host's name; exit 0 is the proof", async (t) => {
    const { fence, dir } = hook(
      t,
      'echo "$@" "$GODWIT_HOST" "$GODWIT_GUEST" > "${0%/*}/call"; echo off',
    );
    const answer = await fence('b', facts, never);
    assert.deepEqual(answer, { off: true, by: 'the fencing hook: off' });
    assert.equal(readFileSync(path.join(dir, 'call'), 'utf8'), 'first b a web1\n');
  });

  test('the fencing hook proves nothing with another exit status, and its last words are the reason', async (t) => {
    const { fence } = hook(t, 'echo trying; echo the power supply is silent >&2; exit 3');
    const words = why(await fence('b', facts, never));
    assert.match(words, /ended with 3: the power supply is silent/);
  });

  test('the fencing hook proves nothing when it takes too long, and is ended with its children', async (t) => {
    const { fence, dir } = hook(t, 'sleep 600 & echo $! > "${0%/*}/child"; wait', 1000);
    assert.match(why(await fence('b', facts, never)), /longer than 1\.0 s/);
    // It was killed; the kernel may take a moment longer to end it.
    await gone(Number(readFileSync(path.join(dir, 'child'), 'utf8')));
  });

  test('the fencing hook proves nothing when it is missing, or when its caller has given up', async (t) => {
    const { fence, dir } = hook(t, 'exit 0');
    rmSync(path.join(dir, 'fence'));
    assert.match(why(await fence('b', facts, never)), /cannot be started/);
    const waiting = hook(t, 'sleep 600');
    assert.match(why(await waiting.fence('b', facts, AbortSignal.timeout(100))), /ended with/);
  });

  test('the fencing hook is never called for a host whose kernel answers over any path, with the reason', async (t) => {
    const paths = new Set<string>();
    const io = fakeDarkWatchIo((path, nth) => {
      paths.add(path);
      return path === '10.1.0.2:7400' && nth === 5 ? REFUSED : SILENCE;
    });
    const { fence, dir } = hook(t, 'touch "${0%/*}/called"', 20_000, io);
    const reported = { ...facts, addresses: [...addresses, '10.2.0.2:49152'] };
    assert.equal(
      why(await fence('b', reported, never)),
      'the fencing hook was not called for b: it answers at 10.1.0.2:7400: it refuses connections',
    );
    // Those of the migration, and those of the configuration.
    assert.deepEqual([...paths].toSorted(), ['10.0.0.2:7400', '10.1.0.2:7400', '10.2.0.2:49152']);
    assert.equal(existsSync(path.join(dir, 'called')), false);
  });

  test('the fencing hook is not called for a host without a known address, or without a caller', async (t) => {
    const { fence, dir } = hook(t, 'touch "${0%/*}/called"');
    assert.match(why(await fence('d', { ...facts, addresses: [] }, never)), /no address of it is/);
    assert.match(why(await fence('b', facts, AbortSignal.abort())), /nobody waited for it/);
    assert.equal(existsSync(path.join(dir, 'called')), false);
  });

  test('the fencing hook has its whole time from the configuration', () => {
    const fencing = { command: ['/x'], timeoutMs: 30_000, silenceMs: 12_000, controls: [] };
    assert.equal(fencingMs({ fencing }), 47_000);
    assert.equal(fencingMs({}), 0);
  });

  test('the fencing hook is absent if none is configured', () => {
    const config = { name: 'a', address: '127.0.0.1:1', stateDir: '/nowhere' };
    const parsed = parseAgentConfig('agent.json', JSON.stringify(config));
    assert.equal(fenceOf(parsed, new Fleet(parsed)), undefined);
  });
});
