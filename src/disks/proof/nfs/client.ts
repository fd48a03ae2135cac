import type { NfsPlace } from '../../../protocol/nfs-url.ts';
import { RpcConnection, type Identity, type Procedure } from './rpc.ts';
import { XdrWriter, type XdrReader } from '../../../formats/xdr.ts';

/**
 * Minimal NFSv3 client (RFC 1813) for small files. Proof files must be written on exports that no host has mounted.
 * Uncached, so that it reads the server's current data. One call at a time.
 */

export type Handle = Buffer;

export interface Entry {
  readonly handle: Handle;
  readonly kind: 'file' | 'directory' | 'other';
  readonly bytes: number;
  /** Inode, the same for every client. */
  readonly inode: string;
}

const PORTMAPPER_PORT = 111;
const TCP = 6;
const MOUNT = { program: 100_005, version: 3 } as const;
const NFS = { program: 100_003, version: 3 } as const;
const GETPORT: Procedure = { program: 100_000, version: 2, number: 3 };
const MNT: Procedure = { ...MOUNT, number: 1 };
const UMNT: Procedure = { ...MOUNT, number: 3 };
const GETATTR: Procedure = { ...NFS, number: 1 };
const LOOKUP: Procedure = { ...NFS, number: 3 };
const READ: Procedure = { ...NFS, number: 6 };
const WRITE: Procedure = { ...NFS, number: 7 };
const CREATE: Procedure = { ...NFS, number: 8 };
const REMOVE: Procedure = { ...NFS, number: 12 };

const HANDLE_BYTES = 64;
const KINDS: readonly (Entry['kind'] | undefined)[] = [undefined, 'file', 'directory'];
const GUARDED = 1;
const FILE_SYNC = 2;
const OWNER_ONLY = 0o600;
export const MAX_READ_BYTES = 4096;

export class NfsClient {
  readonly #connection: RpcConnection;
  readonly root: Handle;

  private constructor(connection: RpcConnection, root: Handle) {
    this.#connection = connection;
    this.root = root;
  }

  /** Connects to a directory of an export; asks the server's portmapper for ports, as QEMU does. */
  static async open(
    { host, path, user, group }: NfsPlace,
    signal: AbortSignal,
    portmapperPort = PORTMAPPER_PORT,
  ): Promise<NfsClient> {
    const identity = {
      user: user ?? process.getuid?.() ?? 0,
      group: group ?? process.getgid?.() ?? 0,
    };
    const ports = await portsOf({ host, port: portmapperPort }, identity, signal);
    const mount = await RpcConnection.open({ host, port: ports.mount }, identity, signal);
    let root: Handle;
    try {
      const asked = new XdrWriter().string(path).bytes();
      const answer = await mount.call(MNT, asked, signal);
      expectOk(answer, 'mount');
      root = answer.opaque(HANDLE_BYTES);
      // The handle stays valid.
      await mount.call(UMNT, asked, signal);
    } finally {
      mount.close();
    }
    const connection = await RpcConnection.open({ host, port: ports.nfs }, identity, signal);
    return new NfsClient(connection, root);
  }

  close(): void {
    this.#connection.close();
  }

  /** Symbolic links are of kind `other` and are not followed. */
  async lookup(directory: Handle, name: string, signal: AbortSignal): Promise<Entry> {
    const answer = await this.#ask(LOOKUP, inDirectory(directory, name), signal);
    const handle = answer.opaque(HANDLE_BYTES);
    return { handle, ...(attributesIn(answer) ?? (await this.#attributes(handle, signal))) };
  }

  /** New file that only its owner may read; rejects if the name exists. */
  async create(directory: Handle, name: string, signal: AbortSignal): Promise<Handle> {
    const mode = new XdrWriter().uint32(GUARDED).uint32(1, OWNER_ONLY).uint32(0, 0, 0, 0, 0);
    const args = new XdrWriter().raw(inDirectory(directory, name)).raw(mode.bytes());
    const answer = await this.#ask(CREATE, args.bytes(), signal);
    if (answer.bool()) return answer.opaque(HANDLE_BYTES);
    return (await this.lookup(directory, name, signal)).handle;
  }

  /** Up to `most` bytes from the start. */
  async read(file: Handle, most: number, signal: AbortSignal): Promise<Buffer> {
    const count = Math.min(most, MAX_READ_BYTES);
    const args = new XdrWriter().opaque(file).uint64(0).uint32(count).bytes();
    const answer = await this.#ask(READ, args, signal);
    attributesIn(answer);
    answer.uint32();
    answer.bool();
    return answer.opaque(count);
  }

  /** Resolves once everything is on the server's storage. */
  async write(file: Handle, at: number, data: Uint8Array, signal: AbortSignal): Promise<void> {
    const where = new XdrWriter().opaque(file).uint64(at).uint32(data.length, FILE_SYNC);
    const answer = await this.#ask(WRITE, where.opaque(data).bytes(), signal);
    skipChange(answer);
    const [written, how] = [answer.uint32(), answer.uint32()];
    if (written !== data.length || how !== FILE_SYNC) throw new Error('it did not write all of it');
  }

  async remove(directory: Handle, name: string, signal: AbortSignal): Promise<void> {
    await this.#ask(REMOVE, inDirectory(directory, name), signal);
  }

  async #attributes(handle: Handle, signal: AbortSignal): Promise<Omit<Entry, 'handle'>> {
    const args = new XdrWriter().opaque(handle).bytes();
    return fileAttributes(await this.#ask(GETATTR, args, signal));
  }

  async #ask(procedure: Procedure, args: Uint8Array, signal: AbortSignal): Promise<XdrReader> {
    const answer = await this.#connection.call(procedure, args, signal);
    expectOk(answer, 'nfs');
    return answer;
  }
}

async function portsOf(
  portmapper: { readonly host: string; readonly port: number },
  identity: Identity,
  signal: AbortSignal,
): Promise<{ readonly mount: number; readonly nfs: number }> {
  const connection = await RpcConnection.open(portmapper, identity, signal);
  const portOf = async ({ program, version }: typeof MOUNT | typeof NFS): Promise<number> => {
    const args = new XdrWriter().uint32(program, version, TCP, 0).bytes();
    const port = (await connection.call(GETPORT, args, signal)).uint32();
    if (port > 0 && port < 65_536) return port;
    throw new Error(`${portmapper.host} offers no NFS version 3 over TCP`);
  };
  try {
    return { mount: await portOf(MOUNT), nfs: await portOf(NFS) };
  } finally {
    connection.close();
  }
}

function inDirectory(directory: Handle, name: string): Buffer {
  return new XdrWriter().opaque(directory).string(name).bytes();
}

function expectOk(answer: XdrReader, what: 'mount' | 'nfs'): void {
  const status = answer.uint32();
  if (status !== 0) throw nfsProblem(status, what);
}

function attributesIn(answer: XdrReader): Omit<Entry, 'handle'> | undefined {
  return answer.bool() ? fileAttributes(answer) : undefined;
}

function fileAttributes(answer: XdrReader): Omit<Entry, 'handle'> {
  const type = answer.uint32();
  // Mode, links, user and group.
  answer.take(16);
  const bytes = answer.uint64();
  // Used space, device and file system; times follow the number.
  answer.take(24);
  const inode = String(answer.take(8).readBigUInt64BE());
  answer.take(24);
  return { kind: KINDS[type] ?? 'other', bytes, inode };
}

/** Attributes before and after a call. */
function skipChange(answer: XdrReader): void {
  if (answer.bool()) answer.take(24);
  attributesIn(answer);
}

/** Errors of a server with the closest system error code. Pure. */

const PROBLEMS: Readonly<Record<number, readonly [code: string, what: string]>> = {
  1: ['EPERM', 'only its owner may do that'],
  2: ['ENOENT', 'there is no such file'],
  5: ['EIO', 'the server could not read or write it'],
  13: ['EACCES', 'the server does not allow it'],
  17: ['EEXIST', 'it is there already'],
  20: ['ENOTDIR', 'it is not a directory'],
  28: ['ENOSPC', 'there is no room left'],
  30: ['EROFS', 'the export is read-only'],
  63: ['ENAMETOOLONG', 'its name is too long'],
  69: ['EDQUOT', 'its quota is used up'],
  70: ['ESTALE', 'the server has it no more'],
  10_008: ['EAGAIN', 'the server is not ready for it yet'],
};

function nfsProblem(status: number, what: 'mount' | 'nfs'): NodeJS.ErrnoException {
  const [code, said] = PROBLEMS[status] ?? ['EIO', `the server says ${status}`];
  const named = what === 'mount' ? `the export cannot be mounted: ${said}` : said;
  return Object.assign(new Error(named), { code });
}
