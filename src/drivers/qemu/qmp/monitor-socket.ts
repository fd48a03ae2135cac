import net from 'node:net';

type Callback = (error?: Error | null) => void;
type Chunks = { readonly chunk: unknown; readonly encoding: BufferEncoding }[];

/**
 * Monitor socket that is read to its end. Node destroys a socket at its first failed write and discards unread
 * data, including QEMU's last events, which contain the reason for its end. Here the end of the input reports
 * the closed connection, and each command has a deadline.
 */
export class MonitorSocket extends net.Socket {
  override _write(chunk: unknown, encoding: BufferEncoding, callback: Callback): void {
    super._write(chunk, encoding, readOn(callback));
  }

  override _writev(chunks: Chunks, callback: Callback): void {
    super._writev?.(chunks, readOn(callback));
  }
}

function readOn(callback: Callback): Callback {
  return (error) => callback(isClosedByPeer(error) ? null : error);
}

export function isClosedByPeer(error: NodeJS.ErrnoException | null | undefined): boolean {
  return error?.code === 'EPIPE' || error?.code === 'ECONNRESET';
}
