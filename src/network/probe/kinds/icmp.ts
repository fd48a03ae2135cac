import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { isIPv4 } from 'node:net';
import { echoRequest, isEchoReply, socketAddress } from '../echo.ts';
import { OFTEN_MS } from './probe.ts';
import type { Opened } from './probe.ts';

/**
 * Node opens no socket for ICMP. This does: a datagram one, which the host may let any user have, or a raw one, which
 * takes root; and carries requests of 16 bytes to the guest and what comes from it back, each with its length ahead.
 */
const CARRY = String.raw`
my ($family, $protocol, $name) = @ARGV;
$name = pack('H*', $name);
my $icmp;
socket($icmp, $family, 2, $protocol) || socket($icmp, $family, 3, $protocol) || die "no socket for ICMP: $!\n";
connect($icmp, $name) || die "no route there: $!\n";
binmode(STDIN); binmode(STDOUT); $| = 1; $SIG{PIPE} = sub { exit };
syswrite(STDOUT, pack('n', 0));
my ($open, $packet) = (1, '');
while ($open) {
  my $wanted = '';
  vec($wanted, fileno(STDIN), 1) = 1; vec($wanted, fileno($icmp), 1) = 1;
  select(my $ready = $wanted, undef, undef, undef);
  if (vec($ready, fileno(STDIN), 1)) {
    $open = sysread(STDIN, $packet, 16 - length($packet), length($packet));
    if (length($packet) == 16) { send($icmp, $packet, 0); $packet = ''; }
  }
  if (vec($ready, fileno($icmp), 1)) {
    my $bytes;
    syswrite(STDOUT, pack('n/a*', $bytes)) if defined recv($icmp, $bytes, 512, 0) && length($bytes) > 0;
  }
}
`;

const START_MS = 3000;
const FAMILIES = { 4: ['2', '1'], 6: ['10', '58'] } as const;
const MOST_WAITING_BYTES = 4096;

/** ICMP's echo, and its like of IPv6. */
export function openIcmp(
  address: string,
  onAnswer: () => void,
  signal: AbortSignal,
): Promise<Opened> {
  const family = isIPv4(address) ? 4 : 6;
  const words = [...FAMILIES[family], socketAddress(address).toString('hex')];
  const child = spawn('perl', ['-e', CARRY, ...words], { stdio: ['pipe', 'pipe', 'pipe'] });
  const { promise, resolve } = Promise.withResolvers<Opened>();
  const cookie = randomBytes(8);
  let sequence = 0;
  let said = '';
  let rest = Buffer.alloc(0);
  const end = (why: string): void => {
    child.kill('SIGKILL');
    resolve({ why });
  };
  const timer = setTimeout(() => end('no socket for it in time'), START_MS);
  signal.addEventListener('abort', () => end('it was ended'), { once: true });
  child.on('error', () => end('no perl, which opens the socket'));
  child.on('close', () => resolve({ why: said.trim().split('\n').at(-1) || 'its process ended' }));
  child.stdin.on('error', () => undefined);
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-512);
  });
  child.stdout.on('data', (chunk: Buffer) => {
    rest = Buffer.concat([rest, chunk]);
    for (;;) {
      const length = rest.length < 2 ? Infinity : rest.readUInt16BE(0);
      if (rest.length < 2 + length) return;
      if (length === 0) resolve({ probe });
      else if (isEchoReply(address, cookie, rest.subarray(2, 2 + length))) onAnswer();
      rest = rest.subarray(2 + length);
    }
  });
  const probe = {
    kind: 'icmp' as const,
    address,
    intervalMs: OFTEN_MS,
    ask: () => {
      if (child.stdin.writableLength > MOST_WAITING_BYTES || child.stdin.destroyed) return;
      child.stdin.write(echoRequest(address, cookie, (sequence += 1)));
    },
    close: async () => {
      child.kill('SIGKILL');
    },
  };
  return promise.finally(() => clearTimeout(timer));
}
