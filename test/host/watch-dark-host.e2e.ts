import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import path from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** In network namespaces of its own, which go away with the process: nothing can be left behind. */
test('real kernels are distinguished: a dark one, one that answers, and a host that cannot ask', async () => {
  const steps = path.join(import.meta.dirname, 'dark-steps.ts');
  const { stdout } = await run('unshare', ['--net', '--map-root-user', process.execPath, steps]);
  const reported = JSON.parse(stdout) as Record<string, string>;
  const expected: Record<string, RegExp> = {
    alone: /^unknown: no other host is known over br0, /,
    alive: /^it answers at 10\.9\.9\.2:7400: it refuses connections( at port \d+)?$/,
    nobody: /^dark$/,
    routed: /^unknown at 10\.7\.7\.2:7400: EHOSTUNREACH, which a router/,
    switchedOff: /^dark$/,
    onePathAlive: /^it answers at 10\.9\.9\.2:7400/,
    ownCable: /^unknown at 10\.8\.9\.2:7400: this host's own link up1 is down$/,
    belowBridge: /^unknown at 10\.9\.9\.2:7400: this host's own link br0 is down$/,
    ownLinkDown: /^unknown at 10\.9\.9\.2:7400: ENETUNREACH$/,
  };
  assert.deepEqual(Object.keys(reported), Object.keys(expected));
  for (const [name, words] of Object.entries(expected))
    assert.match(reported[name] ?? '', words, name);
});
