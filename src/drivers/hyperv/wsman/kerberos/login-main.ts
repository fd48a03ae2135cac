/**
 * Logs in by Kerberos for the process that started it: a line of JSON comes in with the user, the password, the service and
 * the certificate's hash, and the message to the server goes out; a line with the server's answer comes in, and whether it is
 * the right server goes out. It holds all tickets in its own memory. Nothing of it is in argv.
 */
import { createInterface } from 'node:readline';
import type { z } from 'zod';
import { GssError, GssLogin } from './gssapi.ts';
import { loginRequest, serverAnswer, type LoginAnswer } from './messages.ts';

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

async function read<T>(schema: z.ZodType<T>): Promise<T> {
  const line = await lines.next();
  // Whoever started it wants nothing more.
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
