/** What libvirt's SASL asks about a password over a unix socket, as saslauthd(8) answers it. */
import { chmodSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { once } from 'node:events';

/** Of user, password, service and realm each: two bytes of length, and the text. */
const WORDS = 4;

export async function saslauthd(
  socket: string,
  isRight: (user: string, password: string) => boolean,
): Promise<Server> {
  const server = createServer((asker) => {
    let asked = Buffer.alloc(0);
    asker.on('error', () => undefined);
    asker.on('data', (chunk: Buffer) => {
      asked = Buffer.concat([asked, chunk]);
      const [user, password] = wordsOf(asked) ?? [];
      if (user === undefined || password === undefined) return;
      const answer = Buffer.from(isRight(user, password) ? 'OK' : 'NO wrong');
      const length = Buffer.alloc(2);
      length.writeUInt16BE(answer.length);
      asker.end(Buffer.concat([length, answer]));
    });
  });
  server.listen({ path: socket });
  await once(server, 'listening');
  chmodSync(socket, 0o777);
  return server;
}

/** Undefined until all have come. */
function wordsOf(bytes: Buffer): string[] | undefined {
  const words: string[] = [];
  for (let at = 0; words.length < WORDS;) {
    if (bytes.length < at + 2) return undefined;
    const end = at + 2 + bytes.readUInt16BE(at);
    if (bytes.length < end) return undefined;
    words.push(bytes.toString('utf8', at + 2, end));
    at = end;
  }
  return words;
}
