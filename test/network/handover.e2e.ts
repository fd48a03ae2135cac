import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import path from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';

const run = promisify(execFile);
const MAC = '52:54:00:00:00:02';

/** In namespaces of its own, which go away with the process: nothing can be left behind. */
test("a guest's routes and tunnels lead to one host at a time, and every step may run twice", async () => {
  const steps = path.join(import.meta.dirname, 'handover-steps.ts');
  const argv = ['--net', '--mount', '--map-root-user', process.execPath, steps];
  const { stdout } = await run('unshare', argv);
  const { nics, ...story } = JSON.parse(stdout) as Record<string, object>;
  assert.partialDeepStrictEqual(nics, [
    {
      id: 'net0',
      attachment: {
        kind: 'bridge',
        bridge: 'br0',
        vxlan: { vni: 7, learning: false, flood: ['10.0.0.2'] },
      },
    },
    {
      id: 'net1',
      addresses: ['10.88.0.21', 'fd88::21'],
      attachment: { kind: 'routed', mac: '0a:00:00:00:00:01', proxyArp: true },
    },
  ]);
  const here = (port: string): string[] => [
    `10.88.0.21 dev ${port} scope link`,
    `fd88::21 dev ${port}`,
  ];
  const away = '52:54:00:00:00:02 dst 10.0.0.1 self permanent';
  const [a, b] = [
    ['tap0', 'tap1'],
    ['gwnet0', 'gwnet1'],
  ];
  const plain = ['guard on', 'learning off', 'flood off', 'bcast_flood off', 'isolated on'];
  const fixed = (port: string): string => `${MAC} dev ${port} master br0 static`;
  const [setA, setB] = [
    [...plain, fixed('tap0')],
    [...plain, fixed('gwnet0')],
  ];
  assert.deepEqual(story, {
    before: {
      a: { routes: here('tap1'), tunnel: [], ports: a, settings: setA },
      b: { routes: [], tunnel: [away], ports: [], settings: [] },
    },
    // The ports are there, and nothing leads to them.
    prepared: {
      a: { routes: here('tap1'), tunnel: [], ports: a, settings: setA },
      b: { routes: [], tunnel: [away], ports: b, settings: plain },
    },
    // A route that is there is never replaced, nor taken back with ours.
    refused: ['done', 'GODWIT_ROUTE_TAKEN', 'done', 'GODWIT_ROUTE_TAKEN'],
    taken: {
      a: { routes: here('tap1'), tunnel: [], ports: a, settings: setA },
      b: {
        settings: setB,
        routes: ['10.88.0.21 via 10.0.0.1 dev u0', 'blackhole fd88::21 dev lo'],
        tunnel: [away],
        ports: b,
      },
    },
    'handed over': {
      a: { routes: [], tunnel: [], ports: a, settings: plain },
      b: { routes: here('gwnet1'), tunnel: [], ports: b, settings: setB },
    },
    done: {
      a: { routes: [], tunnel: [], ports: [], settings: [] },
      b: { routes: here('gwnet1'), tunnel: [], ports: b, settings: setB },
    },
  });
});
