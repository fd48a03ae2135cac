import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { RecordReader, recordOf } from '../../../../src/disks/proof/nfs/records.ts';
import { XdrReader, XdrWriter } from '../../../../src/formats/xdr.ts';

/** A small NFSv3 server in memory, with its portmapper and its mount program on one port. Nothing is on any disk. */

interface Node {
  readonly kind: 'file' | 'directory' | 'link';
  readonly children: Map<string, Node>;
  data: Buffer;
  readonly id: number;
  readonly owner: number;
}

const KINDS = { file: 1, directory: 2, link: 5 } as const;
const [OK, NOENT, ACCES, EXIST, NOTDIR] = [0, 2, 13, 17, 20];

export class MemoryServer {
  readonly server: Server;
  readonly root: Node;
  /** What it answers in place of what it should, by program and procedure (`100003/6`). */
  readonly answers = new Map<string, (body: Buffer) => Buffer>();
  readonly calls: string[] = [];
  readonly #nodes = new Map<number, Node>();
  readonly #sockets = new Set<Socket>();
  #port = 0;

  constructor() {
    this.root = this.#node('directory', 0);
    this.server = createServer((socket) => this.#serve(socket));
  }

  async listen(): Promise<number> {
    await new Promise<void>((resolve) => this.server.listen(0, '127.0.0.1', resolve));
    this.#port = (this.server.address() as AddressInfo).port;
    return this.#port;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.server.close(resolve));
  }

  add(path: string, kind: Node['kind'], data = ''): void {
    const parts = path.split('/');
    const name = parts.pop() ?? '';
    const parent = parts.reduce((at, part) => at.children.get(part) ?? at, this.root);
    this.#put(parent, name, kind, 0).data = Buffer.from(data);
  }

  names(path = ''): string[] {
    const at = path.split('/').filter((part) => part !== '');
    const found = at.reduce<Node | undefined>((node, part) => node?.children.get(part), this.root);
    return [...(found?.children.keys() ?? [])].toSorted();
  }

  #node(kind: Node['kind'], owner: number): Node {
    const id = this.#nodes.size + 1;
    const node = { kind, children: new Map<string, Node>(), data: Buffer.alloc(0), id, owner };
    this.#nodes.set(id, node);
    return node;
  }

  #put(parent: Node, name: string, kind: Node['kind'], owner: number): Node {
    const node = this.#node(kind, owner);
    parent.children.set(name, node);
    return node;
  }

  #serve(socket: Socket): void {
    const records = new RecordReader();
    this.#sockets.add(socket);
    socket.on('error', () => {}).on('close', () => this.#sockets.delete(socket));
    socket.on('data', (chunk: Buffer) => {
      for (const message of records.push(chunk)) socket.write(this.#answer(new XdrReader(message)));
    });
  }

  #answer(call: XdrReader): Buffer {
    const xid = call.uint32();
    call.take(8);
    const [program, , procedure] = [call.uint32(), call.uint32(), call.uint32()];
    call.uint32();
    const credential = new XdrReader(call.opaque(400));
    credential.uint32();
    credential.opaque(255);
    const user = credential.uint32();
    call.take(8);
    const name = `${program}/${procedure}`;
    this.calls.push(name);
    const body = this.#body(name, call, user);
    const message = new XdrWriter().uint32(xid, 1, 0, 0, 0, 0).raw(body).bytes();
    const odd = this.answers.get(name);
    return odd === undefined ? recordOf(message) : odd(message);
  }

  #body(name: string, call: XdrReader, user: number): Buffer {
    const answer = new XdrWriter();
    if (name === '100000/3') return answer.uint32(this.#port).bytes();
    if (name === '100005/3') return answer.bytes();
    if (name === '100005/1') {
      if (call.opaque(1024).toString() !== '/srv') return answer.uint32(ACCES).bytes();
      return answer.uint32(OK).opaque(handleOf(this.root)).uint32(1, 1).bytes();
    }
    const at = this.#nodes.get(call.opaque(64).readUInt32BE());
    if (at === undefined) return answer.uint32(70).bytes();
    if (name === '100003/1') return answer.uint32(OK).raw(attributes(at)).bytes();
    if (name === '100003/6') return this.#read(at, call);
    if (name === '100003/7') return this.#write(at, call, user);
    return this.#inDirectory(name, at, call, user);
  }

  #read(file: Node, call: XdrReader): Buffer {
    const [offset, count] = [call.uint64(), call.uint32()];
    const data = file.data.subarray(offset, offset + count);
    const head = new XdrWriter().uint32(OK, 1).raw(attributes(file)).uint32(data.length, 1);
    return head.opaque(data).bytes();
  }

  #write(file: Node, call: XdrReader, user: number): Buffer {
    if (file.owner !== user) return new XdrWriter().uint32(ACCES, 0, 0).bytes();
    const offset = call.uint64();
    call.take(8);
    const data = call.opaque(4096);
    file.data = Buffer.concat([file.data.subarray(0, offset), data]);
    return new XdrWriter().uint32(OK, 0, 0, data.length, 2).uint64(0).bytes();
  }

  #inDirectory(name: string, directory: Node, call: XdrReader, user: number): Buffer {
    const answer = new XdrWriter();
    const child = call.opaque(255).toString();
    if (directory.kind !== 'directory') return answer.uint32(NOTDIR, 0).bytes();
    const found = directory.children.get(child);
    if (name === '100003/8') {
      if (found !== undefined) return answer.uint32(EXIST, 0, 0).bytes();
      const made = this.#put(directory, child, 'file', user);
      return answer.uint32(OK, 1).opaque(handleOf(made)).uint32(0, 0, 0).bytes();
    }
    if (found === undefined) return answer.uint32(NOENT, 0, 0).bytes();
    if (name === '100003/12') {
      directory.children.delete(child);
      return answer.uint32(OK, 0, 0).bytes();
    }
    return answer
      .uint32(OK)
      .opaque(handleOf(found))
      .uint32(1)
      .raw(attributes(found))
      .uint32(0)
      .bytes();
  }
}

function handleOf({ id }: Node): Buffer {
  return new XdrWriter().uint32(id, 0xfeed).bytes();
}

function attributes({ kind, data, id, owner }: Node): Buffer {
  const head = new XdrWriter().uint32(KINDS[kind], 0o600, 1, owner, 0);
  return head
    .uint64(data.length)
    .uint64(0)
    .uint64(0)
    .uint64(1)
    .uint64(id)
    .raw(Buffer.alloc(24))
    .bytes();
}
