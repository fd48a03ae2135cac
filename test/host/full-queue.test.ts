import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import net from 'node:net';
import { test, type TestContext } from 'node:test';
import { reachHost } from '../../src/host/machine/host-kernel.ts';
import { whyNotDark } from '../../src/host/watch-dark-host.ts';
import { askKernel } from '../../src/rpc/reach.ts';

const LISTEN = `
const server = require('node:net').createServer();
server.listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => console.log(server.address().port));
`;
/** More than a queue of one takes. */
const FILL = 8;
const PRECONDITION_MS = 500;
const signal = AbortSignal.timeout(60_000);

/** A process that listens and is frozen, with as many connections in its queue as the kernel takes. */
async function frozenAgent(t: TestContext): Promise<string> {
  const child = spawn(process.execPath, ['-e', LISTEN], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(() => child.kill('SIGKILL'));
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  const port = Number(line.toString());
  child.kill('SIGSTOP');
  for (let nth = 0; nth < FILL; nth += 1) {
    const socket = net.connect(port, '127.0.0.1').on('error', () => undefined);
    t.after(() => socket.destroy());
  }
  const address = `127.0.0.1:${port}`;
  while ((await askKernel(address, PRECONDITION_MS, signal)).what !== 'silence') {
    signal.throwIfAborted();
  }
  return address;
}

test('a host with a frozen agent and a full queue is alive: a port without a listener refuses', async (t) => {
  const address = await frozenAgent(t);
  const why = await whyNotDark([address], ['127.0.0.2:1'], 5000, signal);
  assert.match(
    why ?? 'dark',
    /^it answers at 127\.0\.0\.1:\d+: it refuses connections at port \d+$/,
  );
});

test('a path to a host with a frozen agent and a full queue is open', async (t) => {
  const address = await frozenAgent(t);
  assert.equal(await reachHost(address, 1000, signal), true);
});
