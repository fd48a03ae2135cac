import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import path from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';

const run = promisify(execFile);
const MAC = '52:54:00:00:00:02';

/** In namespaces of its own, which go away with the process: nothing can be left behind. */
test('a second look at a port shows each change that its owner made since the first, and no other', async () => {
  const steps = path.join(import.meta.dirname, 'port-look-steps.ts');
  const argv = ['--net', '--mount', '--map-root-user', process.execPath, steps];
  const { stdout } = await run('unshare', argv);
  const { found, gone, sysctls } = JSON.parse(stdout) as {
    found: Record<string, string[]>;
    gone: unknown;
    sysctls: unknown;
  };
  const of = 'of the port of net0 changed from';
  const isolated = `isolated ${of} unset to on`;
  const limited = `tc tbf ${of} unset to set`;
  const unguarded = `guard ${of} on to unset`;
  const forgotten = `the static entry for ${MAC} ${of} set to unset`;
  assert.deepEqual(found, {
    same: [],
    isolated: [isolated],
    limited: [limited, isolated],
    policed: [limited, `tc ingress ${of} unset to set`, isolated],
    back: [],
    unguarded: [unguarded],
    forgotten: [unguarded, forgotten],
    down: [unguarded, forgotten, `the state down ${of} unset to set`],
    moved: [`the bridge ${of} br0 to br1`],
  });
  assert.match(String(gone), /tap0/);
  assert.deepEqual(sysctls, [[], ['sysctl net.ipv4.conf accept_local=1']]);
});
