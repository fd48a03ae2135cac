import { spawn } from 'node:child_process';
import { isIPv4 } from 'node:net';
import { socketAddress } from './probe/echo.ts';

/**
 * Opens an ICMP socket, which Node cannot: a datagram socket, which the host may permit to any user and which only
 * carries echoes, or a raw one, which requires root. Relays requests of one length to the guest, and its answers
 * back, each with a length prefix.
 */
const CARRY = String.raw`
my ($family, $protocol, $name, $length, $raw) = @ARGV;
$name = pack('H*', $name);
my $icmp;
(!$raw && socket($icmp, $family, 2, $protocol)) || socket($icmp, $family, 3, $protocol) || die "no socket for ICMP: $!\n";
connect($icmp, $name) || die "no route there: $!\n";
binmode(STDIN); binmode(STDOUT); $| = 1; $SIG{PIPE} = sub { exit };
syswrite(STDOUT, pack('n', 0));
my ($open, $packet) = (1, '');
while ($open) {
  my $wanted = '';
  vec($wanted, fileno(STDIN), 1) = 1; vec($wanted, fileno($icmp), 1) = 1;
  select(my $ready = $wanted, undef, undef, undef);
  if (vec($ready, fileno(STDIN), 1)) {
    $open = sysread(STDIN, $packet, $length - length($packet), length($packet));
    if (length($packet) == $length) { send($icmp, $packet, 0); $packet = ''; }
  }
  if (vec($ready, fileno($icmp), 1)) {
    my $bytes;
    syswrite(STDOUT, pack('n/a*', $bytes)) if defined recv($icmp, $bytes, 512, 0) && length($bytes) > 0;
  }
}
`;

const START_MS = 3000;
const FAMILIES = { 4: ['2', '1'], 6: ['10', '58'] } as const;
const MAX_WAITING_BYTES = 4096;

export interface IcmpSocket {
  /** Sends one request of the agreed length. Never throws; an unsent request simply has no answer. */
  send(packet: Buffer): void;
  close(): void;
}

interface Options {
  readonly packetBytes: number;
  /** Required for anything but echoes. */
  readonly raw?: boolean;
}

/** `onPacket`: packets from that address; a raw IPv4 socket includes the header. */
export function openIcmpSocket(
  address: string,
  { packetBytes, raw = false }: Options,
  onPacket: (packet: Buffer) => void,
  signal: AbortSignal,
): Promise<{ readonly socket: IcmpSocket } | { readonly why: string }> {
  const family = isIPv4(address) ? 4 : 6;
  const words = [...FAMILIES[family], socketAddress(address).toString('hex')];
  const more = [String(packetBytes), raw ? '1' : '0'];
  const child = spawn('perl', ['-e', CARRY, ...words, ...more], {
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const { promise, resolve } = Promise.withResolvers<{ socket: IcmpSocket } | { why: string }>();
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
  const socket = {
    send: (packet: Buffer) => {
      if (child.stdin.writableLength > MAX_WAITING_BYTES || child.stdin.destroyed) return;
      child.stdin.write(packet);
    },
    close: () => {
      child.kill('SIGKILL');
    },
  };
  child.stdout.on('data', (chunk: Buffer) => {
    rest = Buffer.concat([rest, chunk]);
    for (;;) {
      const length = rest.length < 2 ? Infinity : rest.readUInt16BE(0);
      if (rest.length < 2 + length) return;
      if (length === 0) resolve({ socket });
      else onPacket(rest.subarray(2, 2 + length));
      rest = rest.subarray(2 + length);
    }
  });
  return promise.finally(() => clearTimeout(timer));
}
