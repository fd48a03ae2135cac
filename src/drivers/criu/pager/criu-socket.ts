import { addressOf, done, libc } from './libc.ts';

/** Unix socket on which CRIU passes the userfaultfds of restored processes. */

const O_CLOEXEC = 0o2000000;
const AF_UNIX = 1;
const SOCK_STREAM = 1;
const MSG_CMSG_CLOEXEC = 0x40000000;
const MSG_WAITALL = 0x100;

/** Listens in the current directory. */
export function listenOn(name: string): number {
  const fd = done('socket', libc().socket(AF_UNIX, SOCK_STREAM | O_CLOEXEC, 0));
  const address = Buffer.alloc(3 + name.length);
  address.writeUInt16LE(AF_UNIX, 0);
  address.write(name, 2, 'latin1');
  done('bind', libc().bind(fd, address, address.length));
  done('listen', libc().listen(fd, 4));
  return fd;
}

export function accept(fd: number): number {
  return done('accept', libc().accept(fd, 0, 0, O_CLOEXEC));
}

export function receiveInt(fd: number): number | undefined {
  const bytes = Buffer.alloc(4);
  const received = done('recv', libc().recv(fd, bytes, 4, MSG_WAITALL));
  return received === 4 ? bytes.readInt32LE(0) : undefined;
}

/** Receives one descriptor (SCM_RIGHTS) with one byte. */
export function receiveFd(fd: number): number {
  // The structures contain pointers to each other, so all are in one buffer.
  const bytes = Buffer.alloc(128);
  const base = addressOf(bytes);
  const [parts, control, data] = [64, 80, 120];
  const pointer = (at: number, to: number): number => bytes.writeBigUInt64LE(base + BigInt(to), at);
  pointer(16, parts);
  bytes.writeBigUInt64LE(1n, 24);
  pointer(32, control);
  bytes.writeBigUInt64LE(24n, 40);
  pointer(parts, data);
  bytes.writeBigUInt64LE(1n, parts + 8);
  const received = done('recvmsg', libc().recvmsg(fd, bytes, MSG_CMSG_CLOEXEC));
  const isOne = bytes.readBigUInt64LE(control) === 20n && bytes.readInt32LE(control + 12) === 1;
  if (received !== 1 || !isOne) throw new Error('a message without its descriptor');
  return bytes.readInt32LE(control + 16);
}
