/**
 * Performs a Kerberos login for its parent process. Input: a JSON line with user, password, service and
 * certificate hash, then a line with the server's answer. Output: the message to the server, then whether the
 * server is authentic. Tickets stay in its memory, and argv contains no secrets.
 */
import { createInterface } from 'node:readline';
import type { z } from 'zod';
import { GssError, GssLogin } from './gssapi.ts';
import { loginRequest, serverAnswer, type LoginAnswer } from './messages.ts';

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

async function read<T>(schema: z.ZodType<T>): Promise<T> {
  const line = await lines.next();
  // The parent needs nothing more.
  if (line.done === true) process.exit(0);
  return schema.parse(JSON.parse(line.value));
}

function say(answer: LoginAnswer): void {
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}

try {
  const { user, password, service, hash } = await read(loginRequest);
  const bound = hash === undefined ? undefined : Buffer.from(hash, 'hex');
  const login = new GssLogin({ user, password, service, hash: bound });
  say({ token: login.begin().toString('base64') });
  login.finish(Buffer.from((await read(serverAnswer)).token, 'base64'));
  say({ proved: true });
} catch (thrown) {
  if (!(thrown instanceof GssError)) throw thrown;
  const { stage, number, message } = thrown;
  say({ failed: { stage, number, words: message } });
}
process.exit(0);
