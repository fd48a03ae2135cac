/**
 * Runs in the lab's client namespace: sends one line to a guest's command port and prints the one
 * line that it answers. Usage: node ask-main.ts ADDRESS PORT DEADLINE_MS LINE
 */
import { connect } from 'node:net';

const [address = '', port = '', deadlineMs = '', line = ''] = process.argv.slice(2);
const MAX_ANSWER = 65_536;
const NUDGE_MS = 500;

const socket = connect({ host: address, port: Number(port), noDelay: true });
let answer = '';
const fail = (why: string): void => {
  process.stderr.write(`${address}:${port} ${why}\n`);
  process.exit(1);
};
setTimeout(() => fail(`did not answer within ${deadlineMs} ms`), Number(deadlineMs));
socket.on('error', (error) => fail(error.message));
socket.on('close', () => fail('closed the connection'));
// The client's route has no short retransmission timer (see network-plan.ts), so a line that was lost while the guest
// changed hosts would be sent again only after a minute. Whatever follows it lets TCP find the loss at once.
// Not before the line itself: what is written before the connection stands is sent first.
socket.on('connect', () => {
  socket.write(`${line}\n`);
  setInterval(() => socket.write('\n'), NUDGE_MS);
});
socket.setEncoding('utf8').on('data', (text: string) => {
  answer += text;
  if (answer.length > MAX_ANSWER) fail('answered too much');
  if (!answer.includes('\n')) return;
  // The empty lines are answered too.
  process.stdout.write(answer.slice(0, answer.indexOf('\n') + 1));
  process.exit(0);
});
