import { connect } from 'node:net';
import { withDeadline } from '../../deadline.ts';
import { godwitError } from '../../errors.ts';

const MAX_ANSWER_BYTES = 8 * 1024 * 1024;

/**
 * Asks a QEMU one thing over a monitor of the witness's own. Deliberately not the driver's client: what
 * tests check Godwit against must not share its code.
 */
export async function askQemu(
  socketPath: string,
  command: string,
  args: Record<string, unknown> = {},
  deadlineMs = 5000,
): Promise<unknown> {
  return withDeadline(`QEMU's answer to ${command}`, deadlineMs, undefined, (signal) => {
    return new Promise((resolve, reject) => {
      const socket = connect(socketPath);
      let text = '';
      let length = 0;
      const fail = (reason: string, cause?: unknown): void => {
        reject(godwitError('GODWIT_LAB', { what: `${socketPath}: ${reason}` }, { cause }));
        socket.destroy();
      };
      signal.addEventListener('abort', () => socket.destroy(), { once: true });
      socket.on('error', (error) => fail(error.message, error));
      socket.on('close', () => fail('closed'));
      socket.write('{"execute":"qmp_capabilities","id":0}\n');
      socket.write(`${JSON.stringify({ execute: command, arguments: args, id: 1 })}\n`);
      socket.setEncoding('utf8').on('data', (chunk: string) => {
        length += chunk.length;
        if (length > MAX_ANSWER_BYTES) fail('answered too much');
        const lines = (text + chunk).split('\n');
        text = lines.pop() ?? '';
        for (const line of lines) {
          const answer = JSON.parse(line) as {
            id?: number;
            return?: unknown;
            error?: { desc: string };
          };
          if (answer.id !== 1) continue;
          if (answer.error !== undefined) fail(`${command}: ${answer.error.desc}`);
          else resolve(answer.return);
          socket.destroy();
        }
      });
    });
  });
}
