import { once } from 'node:events';
import { createServer } from 'node:net';
import path from 'node:path';
import type { TestContext } from 'node:test';
import { encodePacket, PacketSplitter } from '../../../../src/drivers/libvirt/rpc/packets.ts';
import { XdrReader, XdrWriter } from '../../../../src/formats/xdr.ts';
import { tempDir } from '../../../rpc/test-contract.ts';

/** By procedure: the body of an answer, or the code with which libvirt refuses. What is not named is not supported. */
export type Answers = Readonly<Record<number, (asked: XdrReader) => XdrWriter | number>>;

const NO_SUPPORT = 3;
const REMOTE_PROGRAM = 0x20008086;

/** One connection, by which the daemon says something unasked, or which it ends. */
export interface Speak {
  readonly say: (procedure: number, body: XdrWriter) => void;
  readonly end: () => void;
}

/** A daemon over libvirt's own packets, of which only these questions are known; its socket. */
export async function fakeDaemon(
  t: TestContext,
  answers: Answers,
  connected: (speak: Speak) => void = () => undefined,
): Promise<string> {
  const socket = path.join(tempDir(t), 'libvirt-sock');
  const server = createServer((each) => {
    const splitter = new PacketSplitter();
    each.on('error', () => undefined);
    connected({
      say: (procedure, body) => {
        const packet = { program: REMOTE_PROGRAM, procedure, type: 2, serial: 0, status: 0 };
        each.write(encodePacket({ ...packet, body: body.bytes() }));
      },
      end: () => each.destroy(),
    });
    each.on('data', (chunk: Buffer) => {
      for (const packet of splitter.push(chunk)) {
        const said = answers[packet.procedure]?.(new XdrReader(packet.body)) ?? NO_SUPPORT;
        const refused = typeof said === 'number';
        const words = refused
          ? new XdrWriter().int32(said).int32(0).optionalString('refused')
          : said;
        const status = refused ? 1 : 0;
        each.write(encodePacket({ ...packet, type: 1, status, body: words.bytes() }));
      }
    });
  });
  server.listen({ path: socket });
  await once(server, 'listening');
  t.after(() => server.close());
  return socket;
}
