/**
 * Lets the machine's own browser reach a listener inside the lab: `node forward-main.ts HOST:PORT`, run in the
 * namespace of that listener. A socket belongs to the namespace in which it was made, whoever serves it: the
 * parent listens on the machine's loopback and hands that socket over here.
 */
import { connect, type Server } from 'node:net';
import { splitAddress } from '../../src/protocol/names.ts';

const inside = splitAddress(process.argv[2] ?? '');

process.once('message', (_ready, handed) => {
  const server = handed as Server;
  server.on('connection', (outer) => {
    const inner = connect(inside);
    for (const [from, to] of [
      [outer, inner],
      [inner, outer],
    ] as const) {
      from.on('error', () => to.destroy());
      from.on('close', () => to.destroy());
      from.pipe(to);
    }
  });
  process.send?.('serving');
});
